// SPDX-License-Identifier: MIT
// Paths and whole files: making, moving, removing, listing, atomic replacement, watching.
#include <rondo/file_system.hpp>

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include <rondo/directory_watch.hpp>
#include <rondo/gather.hpp>
#include <rondo/pipe.hpp>
#include <rondo/run.hpp>
#include <rondo/task_group.hpp>
#include <rondo/sleep.hpp>

#include "support/child.hpp"
#include "support/core_tools.hpp"
#include "support/full_disk.hpp"
#include "support/net_tools.hpp"

using namespace rondo;
using namespace std::chrono_literals;
using rondo_tests::text_of_failure;

namespace {

/// A directory that is removed at the end of the test.
class folder {
public:
    explicit folder(const char* name = "files")
        : path_(std::filesystem::temp_directory_path() /
                ("rondo-" + (name + ('-' + std::to_string(::getpid()))))) {
        std::filesystem::remove_all(path_);
        std::filesystem::create_directories(path_);
    }
    ~folder() { std::filesystem::remove_all(path_); }
    folder(const folder&) = delete;
    folder& operator=(const folder&) = delete;
    std::string operator/(const std::string& name) const { return (path_ / name).string(); }
    std::string path() const { return path_.string(); }
    std::size_t size() const {
        const auto count = std::distance(std::filesystem::directory_iterator(path_), {});
        return static_cast<std::size_t>(count);
    }

private:
    std::filesystem::path path_;
};

}  // namespace

RONDO_TEST("files: whole files are written, appended to and read back", "[files][kernel]") {
    const folder in;
    const std::string path = in / "a";
    const std::string all = rondo_tests::pattern(1'000'000);
    co_await write_file(path, all);
    std::string back = co_await read_file(path);
    CHECK(back == all);
    co_await append_to_file(path, "more");
    back = co_await read_file(path);
    CHECK(back == all + "more");
    co_await write_file(path, "short");
    back = co_await read_file(path);
    CHECK(back == "short");
    back = co_await read_file(path, 5);
    CHECK(back == "short");
    const std::string text = co_await text_of_failure<limit_error>(read_file(path, 4));
    CHECK(text == "read_file " + path + ": more than 4 bytes");
    const std::string status = co_await read_file("/proc/self/status");  // reports no size
    CHECK(status.find("Pid:") != status.npos);
    const std::string none = co_await text_of_failure<std::system_error>(read_file(in / "none"));
    CHECK(none == "open " + (in / "none") + ": No such file or directory");
}

RONDO_TEST("files: paths are made, moved, linked and removed", "[files][kernel]") {
    const folder in;
    co_await make_directory(in / "d", 0700);
    file_status status = co_await status_of(in / "d");
    CHECK(status.kind == file_kind::directory);
    CHECK(status.permissions == 0700);
    co_await write_file(in / "d/one", "1");
    co_await write_file(in / "d/two", "22");
    status = co_await status_of(in / "d/two");
    CHECK(status.kind == file_kind::regular);
    CHECK(status.size == 2);
    CHECK(status.links == 1);
    CHECK(status.modified <= std::chrono::system_clock::now());
    co_await make_link(in / "d/two", in / "d/three");
    co_await make_symbolic_link("two", in / "d/link");
    const std::string target = co_await read_symbolic_link(in / "d/link");
    CHECK(target == "two");
    status = co_await status_of(in / "d/link", false);
    CHECK(status.kind == file_kind::symbolic_link);
    const std::string taken = co_await text_of_failure<std::system_error>(
        rename_path(in / "d/one", in / "d/two", true));
    CHECK(taken == "rename " + (in / "d/one") + " -> " + (in / "d/two") + ": File exists");
    co_await rename_path(in / "d/one", in / "d/two");
    const std::string now = co_await read_file(in / "d/link");
    CHECK(now == "1");
    bool there = co_await path_exists(in / "d/one");
    CHECK_FALSE(there);
    auto entries = co_await list_directory(in / "d");
    std::sort(entries.begin(), entries.end(),
              [](const auto& a, const auto& b) { return a.name < b.name; });
    REQUIRE(entries.size() == 3);
    CHECK(entries[0].name == "link");
    CHECK(entries[0].kind == file_kind::symbolic_link);
    CHECK(entries[2].kind == file_kind::regular);
    const std::string full =
        co_await text_of_failure<std::system_error>(remove_directory(in / "d"));
    CHECK(full == "rmdir " + (in / "d") + ": Directory not empty");
    co_await remove_file(in / "d/link");
    co_await make_directories(in / "d/x/y/z");
    const std::uintmax_t removed = co_await remove_tree(in / "d");
    CHECK(removed == 6);
    there = co_await path_exists(in / "d");
    CHECK_FALSE(there);
    const std::string gone = co_await text_of_failure<std::system_error>(list_directory(in / "d"));
    CHECK(gone == "list " + (in / "d") + ": No such file or directory");
    const std::string nul =
        co_await text_of_failure<std::system_error>(remove_file(std::string("a\0b", 3)));
    CHECK(nul == "unlink a: Invalid argument");
}

RONDO_TEST("files: a tree is removed without following its links", "[files][kernel]") {
    const folder in;
    co_await make_directories(in / "precious");
    co_await write_file(in / "precious/file", "x");
    co_await make_directories(in / "tree");
    co_await make_symbolic_link(in / "precious", in / "tree/link");
    co_await remove_tree(in / "tree");
    const bool there = co_await path_exists(in / "precious/file");
    CHECK(there);
}

RONDO_TEST("files: a file is replaced in one step, and no other file is left", "[files][kernel]") {
    const folder in;
    const std::string path = in / "config";
    co_await replace_file(path, "first", {.permissions = 0640});
    std::string now = co_await read_file(path);
    CHECK(now == "first");
    const file_status status = co_await status_of(path);
    CHECK((status.permissions & ~0640u) == 0);
    auto old = co_await file::open(path);
    co_await replace_file(path, "second");
    std::array<char, 10> room;
    const chunk seen = co_await old.read_some(room);
    CHECK(seen.text() == "first");  // a file opened before still has the old bytes
    now = co_await read_file(path);
    CHECK(now == "second");
    CHECK(in.size() == 1);
    co_await make_directory(in / "d");
    const std::string text = co_await text_of_failure<std::system_error>(
        replace_file(in / "d", "cannot be"));
    CHECK(text.starts_with("rename "));
    CHECK(in.size() == 2);
    // Cancelled at each moment: the file has the old bytes or the new ones, and no other file is
    // left.
    for (int moment = 0; moment < 12; ++moment) {
        auto replacing = create_task([](std::string p) -> task<> {
            co_await replace_file(p, "third");
        }(path));
        for (int i = 0; i < moment; ++i) co_await yield_now();
        replacing.cancel();
        try {
            co_await replacing;
        } catch (const future_cancelled&) {
        }
        now = co_await read_file(path);
        CHECK((now == "second" || now == "third"));
        CHECK(in.size() == 2);
        co_await write_file(path, "second");
    }
}

RONDO_TEST("files: truncate, allocate, write and read several buffers", "[files][kernel]") {
    const folder in;
    open_options fresh;
    fresh.create = true;
    auto f = co_await file::open(in / "f", open_mode::read_write, fresh);
    co_await f.write_all("head", "", std::string(300'000, 'x'), "tail");
    std::uint64_t size = co_await f.size();
    CHECK(size == 300'008);
    std::string middle(8, '\0');
    co_await f.read_exactly_at(middle, 300'000);
    CHECK(middle == "xxxxtail");
    try {
        co_await f.read_exactly_at(middle, 300'004);
        FAIL("there is less");
    } catch (const incomplete_read_error& error) {
        CHECK(error.bytes() == "tail");
        CHECK(error.expected() == 8);
    }
    std::array<char, 4> first;
    std::array<char, 6> second;
    const std::array<buffer_view, 2> parts{buffer_view(first), buffer_view(second)};
    const std::size_t count = co_await f.read_parts_at(parts, 0);
    CHECK(count == 10);
    CHECK(std::string(second.data(), 6) == "xxxxxx");
    co_await f.truncate(6);
    size = co_await f.size();
    CHECK(size == 6);
    co_await f.allocate(0, 100'000);
    size = co_await f.size();
    CHECK(size == 100'000);
    co_await f.allocate(0, 200'000, true);
    size = co_await f.size();
    CHECK(size == 100'000);
    co_await f.sync_data();
    co_await f.sync();
    const file_status status = co_await f.status();
    CHECK(status.kind == file_kind::regular);
}

RONDO_TEST("files: O_DIRECT, if the file system has it", "[files][kernel]") {
    const folder in;
    aligned_buffer block(2 * aligned_buffer::alignment);
    CHECK(reinterpret_cast<std::uintptr_t>(block.data()) % aligned_buffer::alignment == 0);
    std::fill_n(block.data(), block.size(), 'd');
    open_options how;
    how.create = how.direct = true;
    std::optional<file> f;
    try {
        f.emplace(co_await file::open(in / "direct", open_mode::read_write, how));
    } catch (const std::system_error& error) {
        CHECK(error.code().value() == EINVAL);  // this file system has no O_DIRECT
        co_return;
    }
    co_await f->write_all_at(block, 0);
    std::fill_n(block.data(), block.size(), ' ');
    const buffer_view second(block.data() + aligned_buffer::alignment, aligned_buffer::alignment);
    const chunk some = co_await f->read_at(second, aligned_buffer::alignment);
    CHECK(some.size() == aligned_buffer::alignment);
    CHECK(second.data()[0] == 'd');
    CHECK(block.data()[0] == ' ');
}

RONDO_TEST("files: a temporary file gets a name, or is deleted", "[files][kernel]") {
    const folder in;
    {
        auto nameless = co_await temporary_file(in.path());
        co_await nameless.write_all("kept");
        CHECK(in.size() == 0);
        co_await nameless.link_to(in / "name");
        const std::string taken =
            co_await text_of_failure<std::system_error>(nameless.link_to(in / "name"));
        CHECK(taken == "link " + (in / "name") + ": File exists");
    }
    const std::string back = co_await read_file(in / "name");
    CHECK(back == "kept");
    const file_status status = co_await status_of(in / "name");
    CHECK(status.permissions == 0600);
}

RONDO_TEST("files: waits end in all three forms", "[files][kernel]") {
    const folder in;
    co_await write_file(in / "f", "x");
    auto f = co_await file::open(in / "f", open_mode::read_write);
    const auto stat = [&] { return status_of(in / "f"); };
    co_await rondo_tests::check_cancelled_before(stat);
    co_await rondo_tests::check_cancelled_after_arrival(stat);
    const auto cut = [&] { return f.truncate(0); };
    co_await rondo_tests::check_cancelled_before(cut);
    std::uint64_t size = co_await f.size();
    CHECK(size == 1);
    if (rondo::detail::knows(rondo::detail::opcode::ftruncate))  // otherwise it runs on a thread
        co_await rondo_tests::check_cancelled_after_arrival(cut);
    else
        co_await f.truncate(0);
    size = co_await f.size();
    CHECK(size == 0);
    const auto make = [&] { return make_directory(in / "d"); };
    co_await rondo_tests::check_cancelled_before(make);
    CHECK(in.size() == 1);
    co_await rondo_tests::check_cancelled_after_arrival(make);
    CHECK(in.size() == 2);
    const auto list = [&] { return list_directory(in.path()); };
    co_await rondo_tests::check_cancelled_before(list);
    const auto nameless = [&] { return temporary_file(in.path()); };
    co_await rondo_tests::check_cancelled_before(nameless);
    co_await rondo_tests::check_cancelled_after_arrival(nameless);  // closed by its receiver
}

// -- full disks -----------------------------------------------------------------------------------

namespace {

constexpr int skipped = 77;

/// The bytes of `path`, read by plain system calls.
std::string content(const std::string& path) {
    std::string all(8 << 20, '\0');
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    const ssize_t size = ::read(fd, all.data(), all.size());
    ::close(fd);
    all.resize(static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
    return all;
}

task<> splice_into(std::string path, const std::string& all) {
    auto [from, to] = socket_pair();
    auto sender = [](unix_stream end, const std::string& bytes) -> task<> {
        unix_stream out = std::move(end);  // closed when this task ends
        try {
            co_await out.write_all(bytes);
        } catch (const std::system_error&) {
        }
    };
    auto receiver = [](unix_stream in, std::string into) -> task<> {
        auto target = from_fd(::open(into.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
        co_await splice(in, target);
    };
    co_await gather(sender(std::move(to), all), receiver(std::move(from), std::move(path)));
}

task<> write_as_stream(std::string path, const std::string& all) {
    auto to = from_fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    co_await to.write_all(all);
}

task<> write_to_standard_output(std::string path, const std::string& all) {
    const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    const int before = ::dup(STDOUT_FILENO);
    ::dup2(fd, STDOUT_FILENO);
    std::exception_ptr failed;
    try {
        auto to = standard_output();
        co_await to.write_all(all);
    } catch (...) {
        failed = std::current_exception();
    }
    ::dup2(before, STDOUT_FILENO);
    if (failed) std::rethrow_exception(failed);
}

/// Writes 3 MiB to a full disk in every way. Result: the number of ways that failed wrongly.
int overfill(const std::string& folder) {
    const std::string all = rondo_tests::pattern(3 << 20);
    int wrong = 0;
    const auto check = [&](const char* name, task<> (*write)(std::string, const std::string&)) {
        const std::string path = folder + "/f";
        const bool replaces = write == rondo_tests::replace_whole;
        if (replaces) rondo::run(rondo_tests::write_whole(path, "old"));
        bool failed = false;
        try {
            rondo::run(write(path, all));
        } catch (const std::system_error& error) {
            const int code = error.code().value();
            failed = code == ENOSPC || code == EFBIG;
            const auto* const cut = dynamic_cast<const write_error*>(&error);
            failed = failed && (cut == nullptr || cut->bytes_written() < all.size());
        }
        const std::string left = content(path);
        const bool right = replaces ? left == "old" : all.compare(0, left.size(), left) == 0;
        ::unlink(path.c_str());
        const bool empty = std::filesystem::is_empty(folder) ||
                           std::filesystem::exists(folder + "/lost+found");
        if (failed && right && empty) return;
        ++wrong;
        std::printf("%s: failed %d, bytes right %d (%zu), empty %d\n", name, failed, right,
                    left.size(), empty);
    };
    for (const auto& way : rondo_tests::ways_to_write) check(way.name, way.write);
    check("fd_stream", write_as_stream);
    check("standard_output", write_to_standard_output);
    check("splice", splice_into);
    return wrong;
}

/// In a mount namespace of its own, which removes its mounts when it ends.
template <class Mount>
rondo_tests::child_end on_a_small_disk(const folder& in, Mount mount) {
    return rondo_tests::run_child([&] {
        if (::unshare(CLONE_NEWNS) != 0) return skipped;
        if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return skipped;
        if (!mount(in.path())) return skipped;
        return overfill(in.path());
    });
}

void check_or_skip(const rondo_tests::child_end& end, const char* what) {
    INFO(end.text);
    if (end.exited(skipped)) {
        std::printf("skipped: no %s can be mounted here\n", what);
        return;
    }
    CHECK(end.exited(0));
}

}  // namespace

TEST_CASE("files: a full tmpfs of 1 MiB is an error in every way to write", "[files][kernel]") {
    const folder in;
    check_or_skip(on_a_small_disk(in, [](const std::string& at) {
        return ::mount("none", at.c_str(), "tmpfs", 0, "size=1m") == 0;
    }), "tmpfs");
}

TEST_CASE("files: a full ext4 of 1 MiB is an error in every way to write", "[files][kernel]") {
    const folder in;
    const folder image_folder("image");
    const std::string image = image_folder / "disk";
    check_or_skip(on_a_small_disk(in, [&](const std::string& at) {
        const std::string make = "exec 2>/dev/null; truncate -s 1M " + image +
                                 " && mkfs.ext4 -q -F -O ^has_journal " + image +
                                 " && mount -o loop " + image + ' ' + at;
        return std::system(make.c_str()) == 0;
    }), "ext4");
}

TEST_CASE("files: a limit of 1 MiB is an error in every way to write", "[files][kernel]") {
    const folder in;
    const auto end = rondo_tests::run_child([&] {
        ::signal(SIGXFSZ, SIG_IGN);
        const rlimit mebibyte{1 << 20, 1 << 20};
        ::setrlimit(RLIMIT_FSIZE, &mebibyte);
        return overfill(in.path());
    });
    INFO(end.text);
    CHECK(end.exited(0));
}

// -- names ----------------------------------------------------------------------------------------

RONDO_TEST("files: a tree is not removed through a link at the end of its path",
           "[files][kernel]") {
    const folder in;
    co_await make_directories(in / "precious/inner");
    co_await make_symbolic_link("precious", in / "link");
    for (const char* end : {"/", "//", "/.", "/./", "/..", "/inner/.."}) {
        const std::string path = in / "link" + end;
        const std::string text = co_await text_of_failure<std::system_error>(remove_tree(path));
        const bool directory = std::string(end).find('.') == std::string::npos;
        CHECK(text == "remove " + path + (directory ? ": Not a directory" : ": Invalid argument"));
        const bool there = co_await path_exists(in / "precious/inner");
        CHECK(there);
    }
    std::uintmax_t count = co_await remove_tree(in / "link");
    CHECK(count == 1);
    count = co_await remove_tree(in / "precious/");
    CHECK(count == 2);
    count = co_await remove_tree(in / "precious/");
    CHECK(count == 0);
    const std::string root = co_await text_of_failure<std::system_error>(remove_tree("//"));
    CHECK(root == "remove //: Device or resource busy");
}

RONDO_TEST("files: files with names of every length are replaced", "[files][kernel]") {
    const folder in;
    for (const std::size_t length : {1u, 200u, 231u, 254u, 255u}) {
        const std::string path = in / std::string(length, 'n');
        co_await replace_file(path, "first");
        co_await replace_file(path, "second");
        const std::string now = co_await read_file(path);
        CHECK(now == "second");
    }
    CHECK(in.size() == 5);
}

RONDO_TEST("read_file: a file above the limit is refused before it is read", "[files][kernel]") {
    const folder in;
    auto large = co_await file::create(in / "large");
    constexpr std::uint64_t size = std::uint64_t(1) << 42;
    try {
        co_await large.truncate(size);
    } catch (const std::system_error&) {
        co_return;  // this file system has no file of that size
    }
    const std::string text =
        co_await text_of_failure<limit_error>(read_file(in / "large", size - 1));
    CHECK(text == "read_file " + (in / "large") + ": more than 4398046511103 bytes");
    const std::string claims = "/sys/kernel/mm/transparent_hugepage/enabled";  // reports 4096
    const bool there = co_await path_exists(claims);
    if (!there) co_return;
    const std::string short_text = co_await read_file(claims, 100);
    CHECK(short_text.find("never") != std::string::npos);
}

// A simulated loop must not touch descriptors or paths of the real system.
RONDO_TEST("files: a simulated loop has a file tree of its own", "[files]") {
    const std::string real = "/tmp/rondo-simulated-" + std::to_string(::getpid());
    std::filesystem::create_directories(real + "/inner");
    std::exception_ptr failed;
    try {
        const std::string text = co_await text_of_failure<std::system_error>(list_directory(real));
        CHECK(text == "list " + real + ": No such file or directory");
        co_await make_directories(real + "/a/b");
        co_await write_file(real + "/a/one", "1");
        co_await make_directory(real + "/a/c");
        co_await rename_path(real + "/a/one", real + "/a/c/two");
        co_await replace_file(real + "/a/c/two", "2");
        co_await make_link(real + "/a/c/two", real + "/a/three");
        auto names = co_await list_directory(real + "/a");
        CHECK(names.size() == 3);
        const std::string full =
            co_await text_of_failure<std::system_error>(remove_directory(real + "/a/c"));
        CHECK(full == "rmdir " + real + "/a/c: Directory not empty");
        const file_status status = co_await status_of(real + "/a/three");
        CHECK(status.links == 2);
        co_await rename_path(real + "/a/c", real + "/a/d");
        co_await remove_file(real + "/a/d/two");
        const std::string three = co_await read_file(real + "/a/three");
        CHECK(three == "2");
        const std::uintmax_t removed = co_await remove_tree(real);
        CHECK(removed == 5);
    } catch (...) {
        failed = std::current_exception();
    }
    CHECK(std::filesystem::exists(real + "/inner"));
    CHECK_FALSE(std::filesystem::exists(real + "/a"));
    std::filesystem::remove_all(real);
    if (failed) std::rethrow_exception(failed);
}

// -- FIFOs ----------------------------------------------------------------------------------------

namespace {

std::string make_fifo(const folder& in, const std::string& name) {
    const std::string path = in / name;
    REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
    return path;
}

task<> open_once(std::string fifo, open_mode how) {
    open_options options;
    options.create = how == open_mode::write;
    co_await file::open(fifo, how, options);
}

task<> write_line_to(std::string path) {
    auto to = co_await file::open(path, open_mode::write);
    co_await to.write_all("line\n");
}

}  // namespace

RONDO_TEST("file: a FIFO is open when its other end has been opened", "[files][kernel]") {
    const folder in;
    const std::string path = make_fifo(in, "fifo");
    for (int i = 0; i < 3; ++i) {
        auto [text, done] = co_await gather(rondo::read_file(path), write_line_to(path));
        CHECK(text == "line\n");
    }
    for (const open_mode mode : {open_mode::read, open_mode::write}) {
        const auto opened = co_await move_on_after(5ms, file::open(path, mode));
        CHECK_FALSE(opened);
    }
    const auto made = co_await move_on_after(5ms, file::create(path));
    CHECK_FALSE(made);
    const std::string text =
        co_await text_of_failure<timeout_error>(wait_for(1ms, file::create(path)));
    CHECK_FALSE(text.empty());
}

RONDO_TEST("file: a thousand FIFOs without another end do not delay other files",
           "[files][kernel]") {
    const folder in;
    const std::string unread = make_fifo(in, "unread"), unwritten = make_fifo(in, "unwritten");
    const std::string all = rondo_tests::pattern(600'000);
    co_await with_task_group([&](task_group& group) -> task<> {
        for (int i = 0; i < 1000; ++i) {
            const bool reads = i % 2 == 0;
            const open_mode mode = reads ? open_mode::read : open_mode::write;
            group.start(open_once, reads ? unwritten : unread, mode);
        }
        co_await yield_now();
        co_await replace_file(in / "other", all);
        const std::string got = co_await read_file(in / "other");
        CHECK((got == all));
        group.cancel();
    });
}

// -- watching -------------------------------------------------------------------------------------

RONDO_TEST("watch_directory: reports changes, and ends with its directory", "[files][kernel]") {
    const folder in;
    co_await make_directory(in / "watched");
    auto changes = watch_directory(in / "watched");
    using kind = directory_event::kind;
    co_await write_file(in / "watched/a", "x");
    std::vector<kind> seen;
    for (int i = 0; i < 3; ++i) {
        const auto change = co_await changes.next();
        REQUIRE(change);
        CHECK(change->name == "a");
        seen.push_back(change->what);
    }
    CHECK(seen == std::vector<kind>{kind::created, kind::modified, kind::closed});
    co_await rename_path(in / "watched/a", in / "watched/b");
    const auto from = co_await changes.next();
    const auto to = co_await changes.next();
    CHECK(from->what == kind::moved_from);
    CHECK(to->what == kind::moved_to);
    CHECK(to->name == "b");
    CHECK(from->cookie == to->cookie);
    co_await make_directory(in / "watched/d");
    const auto folder_made = co_await changes.next();
    CHECK(folder_made->is_directory);
    co_await remove_tree(in / "watched");
    int removed = 0;
    while (const auto change = co_await changes.next()) removed += change->what == kind::removed;
    CHECK(removed == 2);
    try {
        auto none = watch_directory(in / "watched");
        FAIL("it is gone");
    } catch (const std::system_error& error) {
        CHECK(std::string(error.what()) ==
              "watch " + (in / "watched") + ": No such file or directory");
    }
}

RONDO_TEST("watch_directory: a wait ends in all three forms, and the watch goes on",
           "[files][kernel]") {
    const folder in;
    auto changes = watch_directory(in.path());
    const auto next = [&] { return changes.next(); };
    co_await rondo_tests::check_cancelled_before(next);
    co_await rondo_tests::check_cancelled_while_suspended(next);
    const auto make = [&] { std::filesystem::create_directory(in / "d"); };
    co_await rondo_tests::check_cancelled_after_arrival(next, make);
    // Events that came together are kept, whichever wait is cancelled between them.
    std::filesystem::create_directory(in / "one");
    std::filesystem::create_directory(in / "two");
    auto seen = co_await changes.next();
    REQUIRE(seen);
    CHECK(seen->name == "one");
    co_await rondo_tests::check_cancelled_before(next);
    seen = co_await changes.next();
    REQUIRE(seen);
    CHECK(seen->name == "two");
    const auto none = co_await move_on_after(1ms, changes.next());
    CHECK_FALSE(none);
    std::filesystem::create_directory(in / "three");
    seen = co_await changes.next();
    REQUIRE(seen);
    CHECK(seen->name == "three");
}

RONDO_TEST("watch_directory: one next at a time; the watch may be destroyed while it is awaited",
           "[files][kernel]") {
    const folder in;
    {
        auto changes = std::optional(watch_directory(in.path()));
        auto waiting = create_task(changes->next());
        co_await yield_now();
        const std::string text =
            co_await text_of_failure<invalid_state_error>(changes->next());
        CHECK(text == "directory_watch::next: another task awaits this watch");
        changes.reset();
        try {
            co_await waiting;
            FAIL("there is no watch any more");
        } catch (const std::system_error& error) {
            CHECK(error.code() == std::errc::operation_canceled);
        }
    }
    try {
        const auto other = watch_directory(in.path() + std::string("\0x", 2));
        FAIL("it is no path");
    } catch (const std::system_error& error) {
        CHECK(error.code() == std::errc::invalid_argument);
    }
}

RONDO_TEST("watch_directory: two hundred watches share one inotify instance", "[files][kernel]") {
    const folder in;
    std::vector<directory_watch> all;
    const std::string first = in / "0", second = in / "1";
    std::filesystem::create_directory(first);
    std::filesystem::create_directory(second);
    for (int i = 0; i < 200; ++i) all.push_back(watch_directory(i % 2 == 0 ? first : second));
    auto quiet = create_task(all[3].next());
    std::ofstream(first + "/made").close();
    for (std::size_t i = 0; i < all.size(); i += 2) {
        const auto seen = co_await all[i].next();
        REQUIRE(seen);
        CHECK(seen->name == "made");
    }
    CHECK_FALSE(quiet.done());
    auto late = watch_directory(first);  // gets no event from before
    std::ofstream(second + "/other").close();
    const auto other = co_await quiet;
    CHECK(other->name == "other");
    std::ofstream(first + "/last").close();
    const auto last = co_await late.next();
    CHECK(last->name == "last");
    all.clear();
    std::filesystem::remove(first + "/last");
    auto next = co_await late.next();  // `closed` or `attributes` would be from before
    while (next->what != directory_event::kind::removed) next = co_await late.next();
    CHECK(next->name == "last");
}

RONDO_TEST("watch_directory: a shared wait survives the task that began it", "[files][kernel]") {
    const folder in;
    auto one = std::optional(watch_directory(in.path()));
    auto two = watch_directory(in.path());
    auto first = create_task(one->next());
    auto second = create_task(two.next());
    co_await rondo_tests::finish();
    first.cancel();
    co_await rondo_tests::finish();
    CHECK(first.done());
    one.reset();
    std::ofstream(in / "made").close();
    const auto seen = co_await second;
    CHECK(seen->name == "made");
}
