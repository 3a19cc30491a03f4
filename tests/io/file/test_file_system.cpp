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
#include "support/file_tools.hpp"
#include "support/net_tools.hpp"

using namespace rondo;
using namespace std::chrono_literals;
using rondo_tests::text_of_failure;

namespace {

using folder = rondo_tests::named_folder;

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
