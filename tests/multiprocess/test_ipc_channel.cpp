// SPDX-License-Identifier: MIT
// ipc_channel: values, descriptors, the end of a channel, and malformed packets.
#include <rondo/ipc_channel.hpp>

#include <fcntl.h>
#include <sys/socket.h>

#include <cstring>
#include <random>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include <rondo/gather.hpp>

#include "support/core_tools.hpp"
#include "support/forked.hpp"

using namespace rondo_tests;

namespace {

using job = std::tuple<int, std::string>;

RONDO_TEST("ipc_channel: values in both directions, then the end", "[ipc_channel][kernel]") {
    auto [ours, theirs] = ipc_channel<job>::pair();
    CHECK((::fcntl(ours.number(), F_GETFD) & FD_CLOEXEC) != 0);
    const job one(1, "one"), two(2, std::string(10'000, 'x')), three(3, "back");
    co_await ours.send(one);
    co_await ours.send(two);
    const auto first = co_await theirs.receive();
    CHECK(*first == one);
    co_await theirs.send(three);
    const auto second = co_await theirs.receive();
    CHECK(std::get<1>(*second).size() == 10'000);
    const auto back = co_await ours.receive();
    CHECK(*back == three);
    co_await ours.close();
    const auto end = co_await theirs.receive();
    CHECK_FALSE(end);
    const job unwanted(4, "");
    CHECK_THROWS_AS(co_await theirs.send(unwanted), std::system_error);
}

TEST_CASE("ipc_channel: between processes, with the blocking functions", "[ipc_channel]") {
    testing::leak_probe probe;
    {
        auto ends = ipc_channel<job>::pair();
        forked child([&] {
            ends.first.close();
            while (auto one = ends.second.blocking_receive()) {
                ++std::get<0>(*one);
                ends.second.blocking_send(*one);
            }
        });
        ends.second.close();
        for (int i = 0; i < 2'000; ++i) {
            ends.first.blocking_send({i, "x"});
            REQUIRE(std::get<0>(*ends.first.blocking_receive()) == i + 1);
        }
        ends.first.close();
        CHECK(child.wait() == 0);
    }
    CHECK(probe.leaks() == "");
}

RONDO_TEST("ipc_channel: descriptors come close-on-exec, and are closed if they are not asked for",
           "[ipc_channel][kernel]") {
    auto [ours, theirs] = ipc_channel<std::string>::pair();
    int pipe_ends[2];
    REQUIRE(::pipe2(pipe_ends, O_CLOEXEC) == 0);
    const auto write_end = descriptor::adopt(pipe_ends[1], "write end");
    {
        const auto read_end = descriptor::adopt(pipe_ends[0], "read end");
        co_await ours.send("with it", read_end.number());
        co_await ours.send("again", read_end.number());
        co_await ours.send("without");
    }
    auto with = co_await theirs.receive_message();
    CHECK(with->value == "with it");
    REQUIRE(with->descriptors.size() == 1);
    CHECK((::fcntl(with->descriptors[0].number(), F_GETFD) & FD_CLOEXEC) != 0);
    REQUIRE(::write(write_end.number(), "hi", 2) == 2);
    char text[2];
    CHECK(::read(with->descriptors[0].number(), text, 2) == 2);
    const auto dropped = co_await theirs.receive();
    CHECK(*dropped == "again");
    const auto without = co_await theirs.receive_message();
    CHECK(without->descriptors.empty());
}

RONDO_TEST(
    "ipc_channel: too large messages are refused by sender and receiver, and their descriptors "
    "closed",
    "[ipc_channel][kernel]") {
    auto [ours, theirs] = ipc_channel<std::string>::pair({.message_max = 100});
    CHECK_THROWS_WITH(co_await ours.send(std::string(100, 'x')),
                      "ipc send: the message has 108 bytes, and at most 100 are allowed");
    CHECK_THROWS_AS(ours.blocking_send(std::string(93, 'x')), limit_error);
    CHECK_THROWS_AS(co_await ours.send("x", std::vector<int>(254, 0)), limit_error);
    auto [large, small] = ipc_channel<std::string>::pair({.message_max = 1000});
    ipc_channel<std::string> cutting(::fcntl(small.number(), F_DUPFD_CLOEXEC, 0),
                                     {.message_max = 20});
    co_await large.send(std::string(500, 'y'), large.number());
    CHECK_THROWS_AS(co_await cutting.receive(), limit_error);
    co_await large.send(std::string(500, 'y'), large.number());
    CHECK_THROWS_AS(cutting.blocking_receive(), limit_error);
    co_await large.send("fits");
    const auto next = co_await cutting.receive();
    CHECK(*next == "fits");
}

TEST_CASE("ipc_channel: an inherited end is adopted, another kind of descriptor is refused",
          "[ipc_channel]") {
    testing::leak_probe probe;
    {
        auto [ours, theirs] = ipc_channel<int>::pair();
        ipc_channel<int> inherited(::fcntl(theirs.number(), F_DUPFD, 0));
        CHECK((::fcntl(inherited.number(), F_GETFD) & FD_CLOEXEC) != 0);
        ours.blocking_send(3);
        CHECK(*inherited.blocking_receive() == 3);
    }
    CHECK_THROWS_AS(ipc_channel<int>(::open("/dev/null", O_RDWR | O_CLOEXEC)), std::system_error);
    int ends[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    CHECK_THROWS_AS(ipc_channel<int>(ends[0]), error);
    ::close(ends[1]);
    CHECK(probe.leaks() == "");
}

RONDO_TEST("ipc_channel: receive and send are cancelled before they start and while they wait",
           "[ipc_channel][cancel][kernel]") {
    auto [ours, theirs] = ipc_channel<std::string>::pair();
    const std::string large(60'000, 'z');
    auto* const end = &ours;  // clang 14 cannot capture a structured binding
    const auto receive = [end] { return end->receive(); };
    const auto send = [end] { return end->send("x"); };
    co_await check_cancelled_before(receive);
    co_await check_cancelled_while_suspended(receive);
    co_await check_cancelled_before(send);
    std::vector<future<>> sends;
    for (int i = 0; i < 20; ++i) sends.push_back(create_task(ours.send(large)));
    co_await finish(20);
    int waiting = 0;
    for (auto& f : sends) waiting += f.done() ? 0 : 1;
    CHECK(waiting > 0);  // the socket's buffer is full
    for (auto& f : sends) f.cancel();
    co_await gather_settled(std::vector<future<>>(sends));
    int went = 0;
    for (auto& f : sends) went += f.cancelled() ? 0 : 1;
    CHECK(went < 20);
    co_await ours.close();
    int came = 0;
    while (auto one = co_await theirs.receive()) came += *one == large ? 1 : 100;
    CHECK(came == went);
}

RONDO_TEST("ipc_channel: a receive that is cancelled after a message came returns the message",
           "[ipc_channel][cancel][kernel]") {
    auto [ours, theirs] = ipc_channel<int>::pair();
    const auto take = [](ipc_channel<int>* from, int* got) -> task<> {
        *got = *(co_await from->receive());
    };
    int sent = 0, received = 0;
    for (int round = 0; round < 200; ++round) {
        int got = 0;
        auto waits = create_task(take(&theirs, &got));
        co_await finish(round % 4);
        co_await ours.send(++sent);
        waits.cancel();
        co_await gather_settled(waits);
        if (got == 0) got = *(co_await theirs.receive());
        received += got == sent ? 1 : 0;
    }
    CHECK(received == 200);
}

struct nothing {
    nothing() {}
    ~nothing() {}
};

}  // namespace

template <>
struct rondo::serializer<nothing> {
    static void write(const nothing&, std::string&) {}
    static nothing read(byte_source&) { return nothing(); }
};

namespace {

RONDO_TEST("ipc_channel: a value without bytes is refused, not taken for the end",
           "[ipc_channel][kernel]") {
    auto [ours, theirs] = ipc_channel<nothing>::pair();
    const nothing value;
    CHECK_THROWS_WITH(
        ours.blocking_send(value),
        "ipc send: the serializer wrote no bytes, and an empty message would mean the "
        "end of the channel");
    CHECK_THROWS_AS(co_await ours.send(value), error);
}

TEST_CASE("ipc_channel: 20,000 malformed packets", "[ipc_channel][fuzz]") {
    using everything = std::tuple<std::vector<std::string>, std::vector<int>>;
    auto ends = ipc_channel<everything>::pair({.message_max = 512});
    std::mt19937 random(11);
    const std::string good = serialize(everything({"ab", "cd"}, {1, 2, 3}));
    int good_ones = 0, bad_ones = 0, too_large = 0;
    for (int i = 0; i < 20'000; ++i) {
        std::string bytes = good;
        if (random() % 8 == 0)
            bytes.assign(1 + random() % 700, static_cast<char>(random()));
        else
            for (std::size_t flips = random() % 3; flips != 0; --flips)
                bytes[random() % bytes.size()] = static_cast<char>(random() % 5);
        REQUIRE(::send(ends.first.number(), bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
                ssize_t(bytes.size()));
        try {
            ends.second.blocking_receive();
            ++good_ones;
        } catch (const format_error&) {
            ++bad_ones;
        } catch (const limit_error&) {
            ++too_large;
        }
    }
    CHECK(good_ones > 1'000);
    CHECK(bad_ones > 1'000);
    CHECK(too_large > 100);
}

}  // namespace
