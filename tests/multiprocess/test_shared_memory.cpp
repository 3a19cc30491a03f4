// SPDX-License-Identifier: MIT
// shared_memory: objects in it, refused descriptors, and the ways to another process.
#include <rondo/shared_memory.hpp>

#include <fcntl.h>
#include <sys/mman.h>

#include <cstring>
#include <stdexcept>
#include <string>

#include <rondo/ipc_channel.hpp>
#include <rondo/process.hpp>

#include "support/core_tools.hpp"
#include "support/forked.hpp"

using namespace rondo_tests;

namespace {

TEST_CASE("shared_memory: two mappings and a child see the same bytes", "[shared_memory]") {
    testing::leak_probe probe;
    {
        shared_memory memory(10'000);
        CHECK(memory.size() == 10'000);
        CHECK(memory.bytes().size() == 10'000);
        CHECK((::fcntl(memory.number(), F_GETFD) & FD_CLOEXEC) != 0);
        auto numbers = memory.span<int>(0, 100);
        CHECK(numbers[99] == 0);
        shared_memory same = shared_memory::adopt(::fcntl(memory.number(), F_DUPFD, 0));
        CHECK((::fcntl(same.number(), F_GETFD) & FD_CLOEXEC) != 0);
        CHECK(same.size() == 10'000);
        same.span<int>(0, 100)[99] = 7;
        CHECK(numbers[99] == 7);
        forked child([&] { numbers[0] = 8; });
        CHECK(child.wait() == 0);
        CHECK(same.span<int>(0, 1)[0] == 8);
        shared_memory moved = std::move(same);
        CHECK_FALSE(same);
        CHECK(moved.span<int>(0, 1)[0] == 8);
        same = std::move(moved);
        CHECK(same);
    }
    CHECK(probe.leaks() == "");
}

TEST_CASE("shared_memory: objects that do not fit or are not aligned are refused",
          "[shared_memory]") {
    const shared_memory memory(4096);
    CHECK(memory.span<long>(8, 511).size() == 511);
    CHECK_THROWS_AS(memory.span<long>(8, 512), std::out_of_range);
    CHECK_THROWS_AS(memory.span<long>(4097, 0), std::out_of_range);
    CHECK_THROWS_AS(memory.span<long>(0, std::size_t(-1) / 4), std::out_of_range);
    CHECK_THROWS_WITH(memory.span<char>(4000, 97),
                      "97 objects of 1 bytes at 4000 do not fit into shared memory of 4096 bytes");
    CHECK_THROWS_AS(memory.span<long>(4, 1), std::invalid_argument);
    CHECK_THROWS_AS(memory.at<long>(4092), std::out_of_range);
    struct pair_of {
        int a, b;
    };
    memory.make<pair_of>(16, 1, 2);
    CHECK(memory.at<pair_of>(16).b == 2);
    const shared_memory none;
    CHECK_FALSE(none);
    CHECK_THROWS_AS(none.span<char>(0, 1), std::out_of_range);
}

TEST_CASE("shared_memory: an unsealed memfd and other descriptors are not adopted",
          "[shared_memory]") {
    testing::leak_probe probe;
    const int unsealed = ::memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    REQUIRE(::ftruncate(unsealed, 100) == 0);
    CHECK_THROWS_AS(shared_memory::adopt(unsealed), error);
    CHECK_THROWS_AS(shared_memory::adopt(::open("/dev/null", O_RDWR | O_CLOEXEC)), error);
    {
        const shared_memory memory(100);
        CHECK(::ftruncate(memory.number(), 10) != 0);
        CHECK(::ftruncate(memory.number(), 1000) != 0);
    }
    CHECK(probe.leaks() == "");
}

RONDO_TEST("shared_memory: only a command with keep() inherits it", "[shared_memory][kernel]") {
    const shared_memory memory(4096);
    std::memcpy(memory.bytes().data(), "hello", 5);
    const std::string path = "/proc/self/fd/" + std::to_string(memory.number());
    auto has_it = command("head", "-c", "5", path);
    const auto read = co_await has_it.keep(memory.number()).run();
    CHECK(read.output == "hello");
    const auto lacks_it = co_await command("head", "-c", "5", path).run();
    CHECK_FALSE(lacks_it.ok());
    auto closed = command("true");
    closed.keep(9'999);
    CHECK_THROWS_WITH(co_await closed.run(), "spawn true: descriptor 9999: Bad file descriptor");
}

RONDO_TEST("shared_memory: can be sent through an ipc_channel", "[shared_memory][kernel]") {
    auto [ours, theirs] = ipc_channel<int>::pair();
    {
        const shared_memory memory(64);
        memory.span<char>(0, 1)[0] = 'x';
        co_await ours.send(1, memory.number());
    }
    auto message = co_await theirs.receive_message();
    REQUIRE(message->descriptors.size() == 1);
    const auto memory = shared_memory::adopt(std::move(message->descriptors[0]));
    CHECK(memory.span<char>(0, 1)[0] == 'x');
}

}  // namespace
