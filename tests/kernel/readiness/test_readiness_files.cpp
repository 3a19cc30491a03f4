// SPDX-License-Identifier: MIT
// The kernel on readiness: files, on the loop's thread and on others.
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <memory>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/file_tools.hpp"
#include "support/kernel_driver.hpp"
#include "kernel/readiness/readiness.hpp"

using namespace kernel_driver;

namespace {

struct fixture : driver {
    fixture() : driver(make_readiness(256)) {}

    int open(const std::string& path, int flags) {
        return call(make(opcode::openat, AT_FDCWD, path.c_str(), 0600, 0,
                         static_cast<std::uint32_t>(flags | O_CLOEXEC)));
    }
};

/// A FIFO that is opened blocks a thread until it has another end.
struct fifo {
    explicit fifo(const std::string& where) : path(where) {
        REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
    }
    void release() const { ::close(::open(path.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC)); }
    std::string path;
};

}  // namespace

TEST_CASE("readiness: files are written and read, at offsets and at the position", "[readiness]") {
    fixture f;
    const rondo_tests::folder folder;
    const int fd = f.open(folder / "file", O_RDWR | O_CREAT);
    REQUIRE(fd >= 0);
    CHECK(f.call(write_of(fd, "0123456789", 0)) == 10);
    std::string into(4, '\0');
    CHECK(f.call(read_of(fd, into, 3)) == 4);
    CHECK(into == "3456");
    CHECK(f.call(read_of(fd, into, 8)) == 2);
    CHECK(f.call(read_of(fd, into, 10)) == 0);
    CHECK(f.call(read_of(fd, into)) == 4);
    CHECK(f.call(read_of(fd, into)) == 4);
    CHECK(into == "4567");
    CHECK(f.call(read_of(fd, into)) == 2);
    entry chunk = read_of(fd, into, 0);
    chunk.flags = entry_async;
    CHECK(f.call(chunk) == 4);
    std::array<char, 3> first{}, second{};
    const std::array<iovec, 2> parts{{{first.data(), 3}, {second.data(), 3}}};
    CHECK(f.call(make(opcode::readv, fd, parts.data(), 2, 5)) == 5);
    CHECK(first[0] == '5');
    CHECK(second[1] == '9');
    CHECK(f.call(make(opcode::fsync, fd)) == 0);
    CHECK(f.call(make(opcode::fsync, fd, nullptr, 0, 0, 1)) == 0);
    CHECK(f.call(make(opcode::ftruncate, fd, nullptr, 0, 3)) == 0);
    CHECK(f.call(read_of(fd, into, 0)) == 3);
    entry grow = make(opcode::fallocate, fd);
    grow.address = 100;
    const int grown = f.call(grow);
    CHECK((grown == 0 || grown == -EOPNOTSUPP));
    CHECK(f.call(make(opcode::close, fd)) == 0);
}

TEST_CASE("readiness: calls on paths", "[readiness]") {
    fixture f;
    const rondo_tests::folder folder;
    const std::string a = folder / "a", b = folder / "b", d = folder / "d";
    const auto at = std::size_t(AT_FDCWD);
    CHECK(f.call(make(opcode::mkdirat, AT_FDCWD, d.c_str(), 0700)) == 0);
    CHECK(f.call(make(opcode::mkdirat, AT_FDCWD, d.c_str(), 0700)) == -EEXIST);
    const int fd = f.open(a, O_RDWR | O_CREAT);
    REQUIRE(fd >= 0);
    CHECK(f.call(make(opcode::linkat, AT_FDCWD, a.c_str(), at, address_in_entry(b.c_str()))) == 0);
    struct statx seen {};
    CHECK(f.call(make(opcode::statx, fd, "", STATX_BASIC_STATS, address_in_entry(&seen),
                      AT_EMPTY_PATH)) == 0);
    CHECK(seen.stx_nlink == 2);
    CHECK(f.call(make(opcode::renameat, AT_FDCWD, b.c_str(), at,
                      address_in_entry(d.c_str()))) == -EISDIR);
    CHECK(f.call(make(opcode::unlinkat, AT_FDCWD, b.c_str())) == 0);
    CHECK(f.call(make(opcode::symlinkat, AT_FDCWD, "a", 0, address_in_entry(b.c_str()))) == 0);
    CHECK(f.call(make(opcode::unlinkat, AT_FDCWD, d.c_str(), 0, 0, AT_REMOVEDIR)) == 0);
    CHECK(f.open(folder / "missing", O_RDONLY) == -ENOENT);
    f.os->close(fd);
}

TEST_CASE("readiness: devices and directories never wait", "[readiness]") {
    fixture f;
    std::string into(4, 'x');
    const int null = f.open("/dev/null", O_RDWR);
    CHECK(f.call(read_of(null, into)) == 0);
    CHECK(f.call(write_of(null, "abc")) == 3);
    CHECK(f.call(make(opcode::poll_add, null, nullptr, 0, 0, POLLIN)) > 0);
    const int zero = f.open("/dev/zero", O_RDONLY);
    CHECK(f.call(read_of(zero, into)) == 4);
    const int full = f.open("/dev/full", O_WRONLY);
    CHECK(f.call(write_of(full, "abc")) == -ENOSPC);
    const int folder = f.open("/", O_RDONLY | O_DIRECTORY);
    CHECK(f.call(read_of(folder, into)) == -EISDIR);
    for (const int fd : {null, zero, full, folder}) f.os->close(fd);
}

TEST_CASE("readiness: what is queued for a thread is cancelled, what runs has its result",
          "[readiness]") {
    fixture f;
    const rondo_tests::folder folder;
    std::vector<std::unique_ptr<fifo>> fifos;
    const auto open_fifo = [&](std::size_t number) {
        return f.add(make(opcode::openat, AT_FDCWD, fifos[number]->path.c_str(), 0, 0,
                          O_RDONLY | O_CLOEXEC));
    };
    for (int i = 0; i < 12; ++i)  // more than there are threads
        fifos.push_back(std::make_unique<fifo>(folder / ("fifo" + std::to_string(i)).c_str()));
    std::uint64_t running = 0;
    for (int result = 0; result == 0;) {  // until a thread has begun with it
        running = open_fifo(0);
        f.turn(f.os->now() + 1ms);
        result = f.cancel(running);
        if (result == 0) CHECK(f.next(running).result == -ECANCELED);
        if (result != 0) CHECK(result == -EALREADY);
    }
    std::vector<std::uint64_t> others;
    for (std::size_t i = 1; i < fifos.size(); ++i) others.push_back(open_fifo(i));
    CHECK(f.waits(others.back()));
    CHECK(f.cancel(others.back()) == 0);
    CHECK(f.next(others.back()).result == -ECANCELED);
    others.back() = running;
    for (std::size_t left = others.size(); left > 0;) {
        for (const auto& one : fifos) one->release();
        f.turn(f.os->now() + 1ms);
        for (const completion& c : f.seen) {
            CHECK(c.result >= 0);
            f.os->close(c.result);
            --left;
        }
        f.seen.clear();
    }
}

TEST_CASE("readiness: a kernel that ends waits for its threads", "[readiness]") {
    const rondo_tests::folder folder;
    std::vector<std::string> into(5, std::string(100, '\0'));
    for (std::size_t i = 0; i < 50; ++i) {
        driver f(make_readiness(256));
        const int fd = ::open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
        for (std::size_t k = 0; k < i % 5; ++k) {
            entry reading = read_of(fd, into[k], 0);
            reading.flags = entry_async;
            f.add(reading);
        }
        f.os->submit();
        f.os.reset();
        ::close(fd);
    }
}

TEST_CASE("readiness: many file operations at once, all with their own result", "[readiness]") {
    fixture f;
    const rondo_tests::folder folder;
    const int fd = f.open(folder / "file", O_RDWR | O_CREAT);
    REQUIRE(fd >= 0);
    std::vector<std::string> blocks;
    for (int i = 0; i < 200; ++i) blocks.push_back(std::string(512, char('a' + i % 26)));
    std::vector<std::uint64_t> running;
    for (std::size_t i = 0; i < blocks.size(); ++i)
        running.push_back(f.add(write_of(fd, blocks[i], i * 512)));
    for (const auto one : running) CHECK(f.next(one).result == 512);
    running.clear();
    std::vector<std::string> got(blocks.size(), std::string(512, '\0'));
    for (std::size_t i = 0; i < got.size(); ++i) {
        entry reading = read_of(fd, got[i], i * 512);
        if (i % 2 == 0) reading.flags = entry_async;
        running.push_back(f.add(reading));
    }
    for (const auto one : running) CHECK(f.next(one).result == 512);
    CHECK(got == blocks);
    f.os->close(fd);
}
