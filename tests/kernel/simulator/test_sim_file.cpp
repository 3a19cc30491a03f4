// SPDX-License-Identifier: MIT
// The simulated file system, by entries.
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>

#include "support/sim_driver.hpp"

using namespace sim_driver;

namespace {

constexpr std::uint64_t here = ~std::uint64_t(0);

int open(machine& m, const char* path, int flags, int folder = AT_FDCWD) {
    return m.call(make(opcode::openat, folder, path, 0644, 0, static_cast<std::uint32_t>(flags)));
}

int write(machine& m, int fd, std::string_view bytes, std::uint64_t offset = here) {
    return m.call(make(opcode::write, fd, bytes.data(), bytes.size(), offset));
}

std::string read(machine& m, int fd, std::size_t most, std::uint64_t offset = here) {
    std::string buffer(most, '?');
    const int got = m.call(make(opcode::read, fd, buffer.data(), most, offset));
    REQUIRE(got >= 0);
    buffer.resize(static_cast<std::size_t>(got));
    return buffer;
}

}  // namespace

TEST_CASE("simulator files: open fails and succeeds like open(2)", "[simulator]") {
    machine m(plain());
    m.sim->put_file("in/a.txt", "hello");
    CHECK(open(m, "in/b.txt", O_RDONLY) == -ENOENT);
    CHECK(open(m, "", O_RDONLY) == -ENOENT);
    CHECK(open(m, "in/a.txt", O_RDWR | O_CREAT | O_EXCL) == -EEXIST);
    CHECK(open(m, "in", O_RDWR | O_CREAT | O_EXCL) == -EEXIST);
    CHECK(open(m, "in", O_WRONLY) == -EISDIR);
    CHECK(open(m, "in/a.txt", O_RDONLY | O_DIRECTORY) == -ENOTDIR);
    CHECK(open(m, "in/a.txt/c", O_RDWR | O_CREAT) == -ENOTDIR);
    CHECK(open(m, "in/a.txt/", O_RDONLY) == -ENOTDIR);
    CHECK(open(m, "in/c/", O_WRONLY | O_CREAT) == -EISDIR);
    CHECK(open(m, "a", O_RDONLY, 12345) == -EBADF);
    const int first = open(m, "./in//a.txt", O_RDONLY);
    CHECK(first == simulator::first_descriptor);
    CHECK(read(m, first, 10) == "hello");
    CHECK(open(m, "in/a.txt", O_WRONLY | O_TRUNC) == first + 1);
    CHECK(m.sim->get_file("in/a.txt") == "");
    CHECK(open(m, "out/new", O_WRONLY | O_CREAT) == -ENOENT);
    CHECK(open(m, "in/new", O_WRONLY | O_CREAT) == first + 2);
    CHECK(m.sim->get_file("in/new") == "");
    CHECK_FALSE(m.sim->get_file("out/none"));
}

TEST_CASE("simulator files: a directory opens, and paths relative to it", "[simulator]") {
    machine m(plain());
    m.sim->put_file("/srv/www/index", "<p>");
    const int folder = open(m, "/srv", O_RDONLY | O_DIRECTORY);
    REQUIRE(folder >= 0);
    const int file = open(m, "www/index", O_RDONLY, folder);
    REQUIRE(file >= 0);
    CHECK(read(m, file, 9) == "<p>");
    CHECK(open(m, "x", O_RDONLY, file) == -ENOTDIR);
    CHECK(open(m, "/srv/www/index", O_RDONLY, 12345) >= 0);  // absolute: 12345 is unused
    std::array<char, 4> buffer{};
    CHECK(m.call(make(opcode::read, folder, buffer.data(), 4)) == -EISDIR);
    CHECK(m.call(make(opcode::write, folder, buffer.data(), 4)) == -EBADF);
}

TEST_CASE("simulator files: offsets, the current position, appending and gaps", "[simulator]") {
    machine m(plain());
    const int file = open(m, "f", O_RDWR | O_CREAT);
    CHECK(write(m, file, "abc") == 3);
    CHECK(write(m, file, "def") == 3);
    CHECK(write(m, file, "XY", 1) == 2);
    CHECK(m.sim->get_file("f") == "aXYdef");
    CHECK(read(m, file, 10) == "");  // the position is at the end
    CHECK(read(m, file, 3, 2) == "Yde");
    const int steps = open(m, "f", O_RDONLY);
    CHECK(read(m, steps, 2) == "aX");
    CHECK(read(m, steps, 2) == "Yd");
    CHECK(write(m, file, "!", 8) == 1);
    CHECK(m.sim->get_file("f") == std::string("aXYdef\0\0!", 9));
    const int appending = open(m, "f", O_WRONLY | O_APPEND);
    CHECK(write(m, appending, "?", 0) == 1);
    CHECK(m.sim->get_file("f")->back() == '?');
    std::array<char, 4> buffer{};
    CHECK(m.call(make(opcode::read, appending, buffer.data(), 4)) == -EBADF);
    const int reading = open(m, "f", O_RDONLY);
    CHECK(write(m, reading, "x") == -EBADF);
    CHECK(write(m, file, "x", std::uint64_t(1) << 45) == -EFBIG);
    CHECK(write(m, file, "") == 0);
}

TEST_CASE("simulator files: lists of buffers", "[simulator]") {
    machine m(plain());
    const int file = open(m, "f", O_RDWR | O_CREAT);
    std::string a = "one", b = "", c = "three";
    const std::array<iovec, 3> list{{{a.data(), 3}, {b.data(), 0}, {c.data(), 5}}};
    CHECK(m.call(make(opcode::writev, file, list.data(), 3, 0)) == 8);
    CHECK(m.sim->get_file("f") == "onethree");
    const std::array<iovec, 2> into{{{a.data(), 2}, {c.data(), 5}}};
    CHECK(m.call(make(opcode::readv, file, into.data(), 2, 1)) == 7);
    CHECK(a == "nee");
    CHECK(c == "three");
}

TEST_CASE("simulator files: transfers are short by seed, and can be continued", "[simulator]") {
    const std::string text = letters(3000);
    int shorts = 0;
    for (std::uint64_t seed = 1; seed <= 100; ++seed) {
        machine m(seeded(seed));
        const int file = open(m, "f", O_RDWR | O_CREAT);
        for (std::size_t at = 0; at < text.size();) {
            const int wrote = write(m, file, std::string_view(text).substr(at), at);
            REQUIRE(wrote > 0);
            at += static_cast<std::size_t>(wrote);
            shorts += at < text.size();
        }
        REQUIRE(m.sim->get_file("f") == text);
        std::string back;
        while (back.size() < text.size()) {
            back += read(m, file, 1000, back.size());
            REQUIRE(back.compare(0, back.size(), text, 0, back.size()) == 0);
        }
    }
    CHECK(shorts > 10);
    CHECK(shorts < 100);
}

TEST_CASE("simulator files: a short transfer moves the position or not, by seed",
          "[simulator]") {
    bool moved[2] = {}, left[2] = {};
    for (std::uint64_t seed = 1; seed <= 100; ++seed) {
        machine m(seeded(seed));
        m.sim->put_file("f", letters(100));
        const int file = open(m, "f", O_RDWR);
        const std::string bytes = letters(60);
        for (const bool writes : {false, true}) {
            m.sim->set_position(file, 10);
            const int count = writes ? write(m, file, bytes) : int(read(m, file, 60).size());
            const auto now = m.sim->position(file);
            REQUIRE((now == 10 + count || (now == 10 && count < 60)));
            (now == 10 ? left : moved)[writes] |= count < 60;
        }
    }
    for (const bool writes : {false, true}) {
        CHECK(moved[writes]);
        CHECK(left[writes]);
    }
}

TEST_CASE("simulator files: fsync, poll, and operations for sockets only", "[simulator]") {
    machine m(plain());
    const int file = open(m, "f", O_RDWR | O_CREAT);
    CHECK(m.call(make(opcode::fsync, file)) == 0);
    CHECK(m.call(make(opcode::poll_add, file, nullptr, 0, 0, POLLIN)) == POLLIN);
    CHECK(m.call(send_of(file, "x")) == -ENOTSOCK);
    CHECK(m.call(make(opcode::accept, file)) == -ENOTSOCK);
    CHECK(m.call(make(opcode::shutdown, file)) == -ENOTSOCK);
    CHECK(m.sim->listen(file, 1) == -ENOTSOCK);
    CHECK(m.call(make(opcode::close, file)) == 0);
    CHECK(m.call(make(opcode::fsync, file)) == -EBADF);
    CHECK(m.sim->descriptors_open() == 0);
}

TEST_CASE("simulator files: statx of a path, of a directory and of a descriptor", "[simulator]") {
    machine m(plain());
    m.sim->put_file("d/f", "12345");
    const auto status = [&](int fd, const char* path, int flags, struct statx& result) {
        return m.call(make(opcode::statx, fd, path, STATX_BASIC_STATS, address_of(&result),
                           static_cast<std::uint32_t>(flags)));
    };
    struct statx found {};
    CHECK(status(AT_FDCWD, "d/f", 0, found) == 0);
    CHECK(found.stx_size == 5);
    CHECK(S_ISREG(found.stx_mode));
    CHECK(status(AT_FDCWD, "d", 0, found) == 0);
    CHECK(S_ISDIR(found.stx_mode));
    CHECK(status(AT_FDCWD, "e", 0, found) == -ENOENT);
    CHECK(status(AT_FDCWD, "d/f/g", 0, found) == -ENOTDIR);
    const int file = open(m, "d/f", O_RDONLY);
    CHECK(status(file, "", AT_EMPTY_PATH, found) == 0);
    CHECK(found.stx_size == 5);
    CHECK(status(file, "", 0, found) == -ENOENT);
    CHECK(status(12345, "", AT_EMPTY_PATH, found) == -EBADF);
}

TEST_CASE("simulator files: no descriptor beyond the limit", "[simulator]") {
    simulator_options options = plain();
    options.descriptors_max = 2;
    machine m(options);
    CHECK(open(m, "a", O_RDWR | O_CREAT) >= 0);
    CHECK(open(m, "b", O_RDWR | O_CREAT) >= 0);
    CHECK(open(m, "c", O_RDWR | O_CREAT) == -EMFILE);
    CHECK_FALSE(m.sim->get_file("c"));
    CHECK(m.socket() == -EMFILE);
    CHECK(m.sim->close(simulator::first_descriptor) == 0);
    CHECK(m.socket() == simulator::first_descriptor);
}
