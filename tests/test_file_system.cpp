// SPDX-License-Identifier: MIT
// Paths and whole files: made, moved, removed, listed, replaced in one step, watched.
#include <rondo/file_system.hpp>

#include <fcntl.h>
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
#include <rondo/sleep.hpp>

#include "core_tools.hpp"
#include "net_tools.hpp"

using namespace rondo;
using namespace std::chrono_literals;
using rondo_tests::text_of_failure;

namespace {

/// A folder that goes with the test.
class folder {
public:
    folder()
        : path_(std::filesystem::temp_directory_path() /
                ("rondo-files-" + std::to_string(::getpid()))) {
        std::filesystem::remove_all(path_);
        std::filesystem::create_directories(path_);
    }
    ~folder() { std::filesystem::remove_all(path_); }
    folder(const folder&) = delete;
    folder& operator=(const folder&) = delete;
    std::string operator/(const std::string& name) const { return (path_ / name).string(); }
    std::string path() const { return path_.string(); }
    std::size_t size() const {
        return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(path_), {}));
    }

private:
    std::filesystem::path path_;
};

}  // namespace

RONDO_TEST("files: whole ones are written, added to and read back", "[files][kernel]") {
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
    const std::string status = co_await read_file("/proc/self/status");  // does not know its size
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

RONDO_TEST("files: one is replaced in one step, and nothing is left behind", "[files][kernel]") {
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
    CHECK(seen.text() == "first");  // who had it open still has the old one
    now = co_await read_file(path);
    CHECK(now == "second");
    CHECK(in.size() == 1);
    co_await make_directory(in / "d");
    const std::string text = co_await text_of_failure<std::system_error>(
        replace_file(in / "d", "cannot be"));
    CHECK(text.starts_with("rename "));
    CHECK(in.size() == 2);
    // Cancelled at each moment: the old bytes or the new ones, and nothing else.
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

RONDO_TEST("files: cut, reserved, written in parts and read in parts", "[files][kernel]") {
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

RONDO_TEST("files: past the page cache, where the file system has that", "[files][kernel]") {
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

RONDO_TEST("files: one without a name gets one, or goes", "[files][kernel]") {
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
    if (rondo::detail::knows(rondo::detail::opcode::ftruncate))  // else it is done on a thread
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
    co_await rondo_tests::check_cancelled_after_arrival(nameless);  // closed by whoever got it
}

// -- watching -------------------------------------------------------------------------------------

RONDO_TEST("watch_directory: tells what happens, and ends with its directory", "[files][kernel]") {
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

RONDO_TEST("watch_directory: a wait for the next ends in all three forms, and the watch goes on",
           "[files][kernel]") {
    const folder in;
    auto changes = watch_directory(in.path());
    const auto next = [&] { return changes.next(); };
    co_await rondo_tests::check_cancelled_before(next);
    co_await rondo_tests::check_cancelled_while_suspended(next);
    const auto make = [&] { std::filesystem::create_directory(in / "d"); };
    co_await rondo_tests::check_cancelled_after_arrival(next, make);
    // Events that came together stay, whichever wait is cancelled between them.
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

RONDO_TEST("watch_directory: one next at a time; the watch may go while it is awaited",
           "[files][kernel]") {
    const folder in;
    {
        auto changes = std::optional(watch_directory(in.path()));
        auto waiting = create_task(changes->next());
        co_await yield_now();
        const std::string text =
            co_await text_of_failure<invalid_state_error>(changes->next());
        CHECK(text == "next() of a directory_watch was awaited while another one was");
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

RONDO_TEST("watch_directory: two hundred of them share what the kernel has few of", "[files][kernel]") {
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
    auto late = watch_directory(first);  // what came before it is none of its
    std::ofstream(second + "/other").close();
    const auto other = co_await quiet;
    CHECK(other->name == "other");
    std::ofstream(first + "/last").close();
    const auto last = co_await late.next();
    CHECK(last->name == "last");
    all.clear();
    std::filesystem::remove(first + "/last");
    auto next = co_await late.next();  // closed, or attributes, before it
    while (next->what != directory_event::kind::removed) next = co_await late.next();
    CHECK(next->name == "last");
}

RONDO_TEST("watch_directory: a wait that others share is not lost with the one that began it", "[files][kernel]") {
    const folder in;
    auto one = std::optional(watch_directory(in.path()));
    auto two = watch_directory(in.path());
    auto first = create_task(one->next());
    auto second = create_task(two.next());
    co_await rondo_tests::settle();
    first.cancel();
    co_await rondo_tests::settle();
    CHECK(first.done());
    one.reset();
    std::ofstream(in / "made").close();
    const auto seen = co_await second;
    CHECK(seen->name == "made");
}
