// SPDX-License-Identifier: MIT
// Files through io_uring, on the simulated file system and on the real one.
#include <rondo/file.hpp>

#include <fcntl.h>

#include <array>
#include <filesystem>

#include <rondo/gather.hpp>

#include "support/file_tools.hpp"
#include "support/full_disk.hpp"
#include "support/net_tools.hpp"

using namespace rondo;
using namespace std::chrono_literals;

namespace {

using rondo_tests::folder;
using rondo_tests::pattern;
using rondo_tests::text_of_failure;

task<std::string> read_file(std::string path, std::size_t step) {
    auto source = co_await file::open(path);
    std::string all, buffer(step, '\0');
    while (auto chunk = co_await source.read_some(buffer)) all.append(chunk.data(), chunk.size());
    co_await source.close();
    co_return all;
}

RONDO_TEST("file: bytes are read as written, from 0 bytes to 3 MiB", "[file][both]") {
    folder here;
    const std::string path = here / "data";
    for (const std::size_t size : {0u, 1u, 4095u, 256u * 1024, 300'001u, 3u << 20}) {
        const std::string all = pattern(size);
        auto target = co_await file::create(path);
        co_await target.write_all(all);
        co_await target.sync();
        auto bytes = co_await target.size();
        REQUIRE(bytes == size);
        co_await target.close();
        const std::string small = co_await read_file(path, 100'000);
        REQUIRE((small == all));
        const std::string large = co_await read_file(path, 1 << 20);
        REQUIRE((large == all));
    }
}

RONDO_TEST("file: operations at an offset do not move the position", "[file][both]", seeds(20)) {
    folder here;
    open_options options;
    options.create = true;
    auto both = co_await file::open(here / "data", open_mode::read_write, options);
    co_await both.write_all("0123456789");
    co_await both.write_all_at("abc", 2);
    co_await both.write_all_at("end", 12);
    std::array<char, 3> buffer;
    std::string got;
    for (std::uint64_t at = 0; auto chunk = co_await both.read_at(buffer, at); at += chunk.size())
        got.append(chunk.data(), chunk.size());
    REQUIRE(got == std::string("01abc56789\0\0end", 15));
    auto chunk = co_await both.read_some(buffer);  // after the ten bytes that were written
    REQUIRE(chunk.size() > 0);
    REQUIRE(chunk.data()[0] == '\0');
    chunk = co_await both.read_at(buffer, 1000);
    REQUIRE_FALSE(chunk);
    chunk = co_await both.read_at(buffer_view(), 0);
    REQUIRE(chunk);
}

RONDO_TEST("file: append, truncate and exclusive", "[file][both]") {
    folder here;
    const std::string path = here / "data";
    auto made = co_await file::create(std::string_view(path));
    co_await made.write_all("one");
    auto more = co_await file::open(path, open_mode::append);
    co_await more.write_all("two");
    std::string got = co_await read_file(path, 10);
    REQUIRE(got == "onetwo");

    open_options options;
    options.create = options.exclusive = true;
    std::string text =
        co_await text_of_failure<std::system_error>(file::open(path, open_mode::write, options));
    REQUIRE(text == "open " + path + ": File exists");
    auto again = co_await file::create(path.c_str());
    auto size = co_await again.size();
    REQUIRE(size == 0);
    REQUIRE(again.path() == path);
}

RONDO_TEST("file: takes a std::filesystem::path", "[file][both]") {
    folder here;
    const std::filesystem::path path = here / "data";
    auto made = co_await file::create(path);
    co_await made.write_all("x");
    auto read = co_await file::open(path);
    auto size = co_await read.size();
    REQUIRE(size == 1);
}

RONDO_TEST("file: errors name the path", "[file][both]") {
    folder here;
    const std::string path = here / "nothing";
    std::string text = co_await text_of_failure<std::system_error>(file::open(path));
    REQUIRE(text == "open " + path + ": No such file or directory");
    text = co_await text_of_failure<std::system_error>(file::open(std::string("a\0b", 3)));
    REQUIRE(text == "open a: Invalid argument");

    auto made = co_await file::create(path);
    std::array<char, 4> buffer;
    auto read = [&]() -> task<> { co_await made.read_some(buffer); };
    text = co_await text_of_failure<std::system_error>(read());
    REQUIRE(text == "read " + path + ": Bad file descriptor");
    auto source = co_await file::open(path);
    auto write = [&]() -> task<> { co_await source.write_all("12345"); };
    text = co_await text_of_failure<write_error>(write());
    REQUIRE(text == "write " + path + ": Bad file descriptor (after 0 of 5 bytes)");
    co_await made.close();
    auto sync = [&]() -> task<> { co_await made.sync(); };
    text = co_await text_of_failure<std::system_error>(sync());
    REQUIRE(text == "fsync " + path + ": Bad file descriptor");
}

task<std::string> content_beneath(const file* folder) {
    try {
        auto opened = co_await file::open_beneath(*folder, "name");
        std::string room(10, '\0');
        const chunk some = co_await opened.read_some(room);
        co_return std::string(some.data(), some.size());
    } catch (const std::system_error& error) {
        co_return error.code() == std::errc::no_such_file_or_directory ? "nothing" : "an error";
    }
}

/// Closes the folder, and opens another one that gets its number, if that is free already.
task<> put_in_its_place(file* folder, const std::string* other, descriptor* place) {
    folder->close();
    *place = descriptor::adopt(::open(other->c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC), *other);
    co_return;
}

RONDO_TEST("file: open_beneath never opens in another folder, though its own is closed meanwhile",
           "[file][kernel]") {
    folder right, wrong;
    for (const folder* each : {&right, &wrong}) {
        auto made = co_await file::create(*each / "name");
        co_await made.write_all(each == &right ? "right" : "wrong");
    }
    const std::string other = wrong / "";
    auto base = co_await file::open(right / "");
    descriptor place;
    auto [content, nothing] =
        co_await gather(content_beneath(&base), put_in_its_place(&base, &other, &place));
    CHECK(content != "wrong");
    CHECK(content != "nothing");
}

RONDO_TEST("file: adopt takes over an open descriptor, and refuses a number that is none",
           "[file][kernel]") {
    folder here;
    const std::string path = here / "data";
    const int number = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    file adopted = file::adopt(number, path);
    co_await adopted.write_all("hello");
    std::string buffer(5, '\0');
    co_await adopted.read_exactly_at(buffer, 0);
    CHECK(buffer == "hello");
    co_await adopted.close();
    CHECK(::fcntl(number, F_GETFD) == -1);  // closed with it

    CHECK_THROWS_WITH(file::adopt(-1, "none"), "adopt none: Bad file descriptor");
}

RONDO_TEST("file: beyond 4 GiB, with holes", "[file][both]") {
    folder here;
    constexpr std::uint64_t far = std::uint64_t{1} << 33;
    auto made = co_await file::open(here / "data", open_mode::read_write, {.create = true});
    co_await made.write_all_at("begin", 0);
    co_await made.truncate(far);
    CHECK(co_await made.size() == far);
    std::string buffer(10, 'x');
    co_await made.read_exactly_at(buffer, far - 10);
    CHECK(buffer == std::string(10, '\0'));
    co_await made.write_all_at("end", far + 5);
    CHECK(co_await made.size() == far + 8);
    co_await made.read_exactly_at(buffer, far - 2);
    CHECK(buffer == std::string(7, '\0') + "end");
    const chunk none = co_await made.read_at(buffer, far + 8);
    CHECK(!none);
    co_await made.truncate(3);
    co_await made.truncate(10);
    co_await made.read_exactly_at(buffer, 0);
    CHECK(buffer == "beg" + std::string(7, '\0'));
}

RONDO_TEST("file: a full disk is an error with the number of bytes written", "[file][kernel]") {
    auto full = co_await file::open("/dev/full", open_mode::write);
    auto write = [&]() -> task<> { co_await full.write_all("12345"); };
    std::string text = co_await text_of_failure<write_error>(write());
    REQUIRE(text == "write /dev/full: No space left on device (after 0 of 5 bytes)");
}

RONDO_TEST("file: every wait on it can be cancelled", "[file][both]") {
    folder here;
    const std::string path = here / "data";
    auto made = co_await file::open(path, open_mode::read_write, {.create = true});
    std::array<char, 4> buffer;
    using rondo_tests::form;
    auto opens = [&]() -> task<> { co_await file::open(path); };
    auto reads = [&]() -> task<> { co_await made.read_some(buffer); };
    auto writes = [&]() -> task<> { co_await made.write_all("12345"); };
    auto syncs = [&]() -> task<> { co_await made.sync(); };
    auto sizes = [&]() -> task<> { co_await made.size(); };
    bool ended = co_await rondo_tests::cancel_in_form(form::before, opens, {});
    REQUIRE(ended);
    ended = co_await rondo_tests::cancel_in_form(form::before, reads, {});
    REQUIRE(ended);
    ended = co_await rondo_tests::cancel_in_form(form::before, writes, {});
    REQUIRE(ended);
    ended = co_await rondo_tests::cancel_in_form(form::before, syncs, {});
    REQUIRE(ended);
    ended = co_await rondo_tests::cancel_in_form(form::before, sizes, {});
    REQUIRE(ended);
    auto size = co_await made.size();
    REQUIRE(size == 0);
}

// The harness counts descriptors. No file may leak, whether it was opened too late or not at all.
RONDO_TEST("file: an open that is cancelled as it ends leaks nothing", "[file]", seeds(30)) {
    auto made = co_await file::create("/data");
    int opened = 0, given_up = 0;
    auto open = [&]() -> task<> {
        auto source = co_await file::open("/data");
        ++opened;
    };
    for (int i = 0; i < 100; ++i) {
        const bool ended = co_await rondo_tests::cancel_in_form(rondo_tests::form::racing, open,
                                                                std::chrono::microseconds(2 * i));
        given_up += ended ? 1 : 0;
    }
    REQUIRE(opened + given_up >= 100);
    REQUIRE(opened > 0);
    REQUIRE(given_up > 0);
}

// A cancelled write has written a part of its bytes, from their beginning, or none.
RONDO_TEST("file: a cancelled write leaves a beginning of its bytes", "[file]", seeds(30)) {
    const std::string all = pattern(300'000);
    for (int i = 0; i < 20; ++i) {
        auto target = co_await file::create("/data");
        auto write = [&]() -> task<> { co_await target.write_all(all); };
        co_await rondo_tests::cancel_in_form(rondo_tests::form::racing, write,
                                             std::chrono::microseconds(20 * i));
        const std::string got = co_await read_file("/data", 1 << 20);
        REQUIRE((all.substr(0, got.size()) == got));
    }
}

// io_uring does not move the position if an error ended a write in its middle. The simulator does
// either, by seed.
TEST_CASE("file: a write that is cut short at any byte continues there", "[file]") {
    const std::string all = pattern(13);
    for (const auto& way : rondo_tests::ways_to_write) {
        INFO(way.name);
        for (std::uint32_t length = 1; length < all.size(); ++length) {
            for (std::uint64_t at = 0, operations = 1; at < operations; ++at) {
                testing::sim_options how;
                how.seed = 100 * length + at;
                how.what = testing::fault::short_transfer;
                how.at_operation = at;
                how.short_length = length;
                testing::world w(how);
                w.put_file("f", "old");
                w.run(way.write("f", all));
                const std::string old = way.write == rondo_tests::append_whole ? "old" : "";
                REQUIRE(w.get_file("f") == old + all);
                operations = w.operations();
                w.end();
            }
        }
    }
}

TEST_CASE("file: a full disk is an error at every byte, and the file is a beginning of the data",
          "[file]") {
    const std::string all = pattern(24);
    const std::string old = "old";
    for (const auto& way : rondo_tests::ways_to_write) {
        INFO(way.name);
        for (std::uint64_t room = 0; room < all.size(); ++room) {
            testing::sim_options how;
            how.seed = room + 1;
            // the replaced file takes its room until the end
            const bool keeps_old = way.write == rondo_tests::replace_whole ||
                                   way.write == rondo_tests::append_whole;
            how.disk_size = room + (keeps_old ? old.size() : 0);
            testing::world w(how);
            if (keeps_old) w.put_file("f", old);
            try {
                w.run(way.write("f", all));
                FAIL("there is no room for it");
            } catch (const write_error& error) {
                REQUIRE(error.code() == std::errc::no_space_on_device);
                if (way.write != rondo_tests::receive_into) REQUIRE(error.bytes_written() == room);
            }
            std::string left = way.write == rondo_tests::append_whole ? old : "";
            left += all.substr(0, room);
            if (way.write == rondo_tests::replace_whole) left = old;
            REQUIRE(w.get_file("f") == left);
            w.end();
        }
    }
}

RONDO_TEST("file: after a full disk the position is after the written bytes", "[file]", seeds(30)) {
    auto to = co_await file::create("f");
    const std::string all = pattern(3000);
    co_await to.write_all(all);
    auto from = co_await file::open("f");
    std::string got, buffer(700, '?');
    while (auto some = co_await from.read_some(buffer)) got += some.text();  // some reads are short
    REQUIRE((got == all));
    co_await to.write_all("end");
    got = co_await read_file("f", 5000);
    REQUIRE((got == all + "end"));
}

}  // namespace
