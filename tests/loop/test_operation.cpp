// SPDX-License-Identifier: MIT
// Operations and descriptors: results, errors and their names, the real system, and the end of a
// loop with operations in flight. For cancellation see test_operation_cancel.cpp, for races
// test_operation_race.cpp.
#include <fcntl.h>
#include <sys/socket.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "support/child.hpp"
#include "support/core_tools.hpp"

using namespace rondo_tests;

namespace {

RONDO_TEST("operation: bytes go from one end to the other", "[operation][both]") {
    two_ends pair = co_await connected();
    char text[8] = {};
    for (int sent = 0; sent < 5;)
        sent += co_await transmit(pair.here, &"hello"[sent], 5U - static_cast<unsigned>(sent));
    for (int have = 0; have < 5;)
        have +=
            co_await receive(pair.there, text + have, sizeof text - static_cast<std::size_t>(have));
    CHECK(std::string(text) == "hello");
    CHECK(running_loop().stats().operations == 0);
}

RONDO_TEST("operation: a failure names the operation and its object", "[operation][both]") {
    sockaddr_in nobody{};
    {
        listening gone;
        nobody = gone.name;
        co_await gone.socket.close();
    }
    descriptor socket = tcp_socket("to nobody");
    CHECK_THROWS_WITH(co_await connect_to(socket, nobody),
                      Catch::Contains("connect to nobody: Connection refused"));
    socket.rename("renamed");
    char byte = 0;
    const descriptor idle = tcp_socket("idle");
    const auto failed = co_await as_result(receive(idle, &byte, 1));
    CHECK_FALSE(failed.has_value());
    CHECK(failed.error() == std::errc::not_connected);
    const auto worked = co_await as_result(nop());
    CHECK(worked.value() == 0);
}

RONDO_TEST("operation: on a closed descriptor it fails and uses no other one",
           "[operation][both]") {
    two_ends pair = co_await connected();
    const descriptor fills_the_gap = tcp_socket("in the listener's place");
    const int number = pair.here.number();
    CHECK(number >= 0);
    co_await pair.here.close();
    CHECK(pair.here.number() == -1);
    CHECK_FALSE(pair.here.is_open());
    descriptor next = tcp_socket("next");
    CHECK(next.number() == number);  // the lowest free one: the number is re-used at once
    char byte = 0;
    CHECK_THROWS_WITH(co_await receive(pair.here, &byte, 1),
                      Catch::Contains("recv here: Bad file descriptor"));
    co_await pair.here.close();  // may be called again
    CHECK(next.is_open());
}

RONDO_TEST("operation: more than the queue holds wait for an entry, in order",
           "[operation][both]") {
    int ended = 0;
    const auto body = [](int* count) -> task<> {
        co_await nop();
        ++*count;
    };
    const int count = many(5000, 1000);
    std::vector<future<>> all;
    for (int i = 0; i < count; ++i) all.push_back(create_task(body(&ended)));
    co_await yield_now();
    for (std::size_t i = 0; i < all.size(); i += 7) all[i].cancel();  // in flight or in the backlog
    while (running_loop().stats().tasks > 1) co_await yield_now();
    CHECK(ended > 0);
    CHECK(running_loop().stats().operations == 0);
}

RONDO_TEST("operation: the error of one on a destroyed descriptor has its name",
           "[operation][both]") {
    two_ends pair = co_await connected();
    auto doomed = std::make_unique<descriptor>(std::move(pair.there));
    std::vector<std::string> errors;
    const auto body = [](const descriptor* from, std::vector<std::string>* texts) -> task<> {
        char byte = 0;
        auto operation = receive(*from, &byte, 1);
        try {
            co_await std::move(operation);
        } catch (const std::exception& e) {
            texts->push_back(e.what());
        }
    };
    auto a = create_task(body(doomed.get(), &errors)), b = create_task(body(doomed.get(), &errors));
    co_await finish();
    doomed.reset();  // the record lives until both errors were made
    co_await a;
    co_await b;
    REQUIRE(errors.size() == 2);
    for (const std::string& text : errors) CHECK(text == "recv there: Operation canceled");
}

// -- the real system -----------------------------------------------------------------------------

RONDO_TEST("operation: pipes and socket pairs, also with O_NONBLOCK", "[operation][kernel]") {
    for (const int flags : {0, O_NONBLOCK}) {
        int ends[2];
        REQUIRE(::pipe2(ends, O_CLOEXEC | flags) == 0);
        descriptor out = descriptor::adopt(ends[0], "pipe's end");
        const descriptor in = descriptor::adopt(ends[1], "pipe's beginning");
        char byte = 0;
        const auto make = [&] { return read_from(out, &byte, 1); };
        co_await check_cancelled_before(make);
        co_await check_cancelled_while_suspended(make);
        co_await check_cancelled_while_suspended(make);
        const auto read_later = [](const descriptor* d, char* b) -> task<int> {
            co_return co_await read_from(*d, b, 1);
        };
        auto reader = create_task(read_later(&out, &byte));
        co_await finish();
        REQUIRE(::write(ends[1], "p", 1) == 1);
        CHECK(co_await reader == 1);
        CHECK(byte == 'p');

        int pair[2];
        REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | (flags != 0 ? SOCK_NONBLOCK : 0),
                             0, pair) == 0);
        const descriptor a = descriptor::adopt(pair[0], "a"), b = descriptor::adopt(pair[1], "b");
        const auto make_receive = [&] { return receive(a, &byte, 1); };
        co_await check_cancelled_while_suspended(make_receive);
        auto receiver = create_task(read_later(&a, &byte));
        co_await finish();
        CHECK(co_await transmit(b, "q", 1) == 1);
        CHECK(co_await receiver == 1);
        CHECK(byte == 'q');
    }
}

TEST_CASE("operation: a loop is destroyed with a thousand reads in flight", "[operation]") {
    const testing::leak_probe probe;
    {
        loop on;
        std::vector<std::unique_ptr<descriptor>> ends;
        std::vector<int> others;
        const auto body = [](const descriptor* from) -> task<> {
            std::string buffer(4096, '\0');  // a local that the kernel borrows
            co_await receive(*from, buffer.data(), buffer.size());
        };
        for (int i = 0; i < 400; ++i) {
            int pair[2];
            REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
            ends.push_back(std::make_unique<descriptor>(descriptor::adopt(pair[0], "end")));
            others.push_back(pair[1]);
            on.create_task(body(ends.back().get()));
        }
        on.run_once();
        on.run_once();
        CHECK(on.stats().operations == 400);
        for (std::size_t i = 0; i < others.size(); i += 2)
            CHECK(::write(others[i], "late", 4) == 4);  // these complete, the others are cancelled
        on.close();
        CHECK(on.stats().operations == 0);
        CHECK(on.stats().tasks == 0);
        for (const int number : others) ::close(number);
    }
    CHECK(probe.leaks() == "");
}

/// Reads into memory that is freed meanwhile, by recv or by recvmsg.
task<> receive_into(int number, char* buffer, msghdr* message) {
    const descriptor from = descriptor::adopt(number, "end");
    if (message == nullptr) {
        co_await receive(from, buffer, 64);
        co_return;
    }
    static constexpr auto kind = rondo::detail::operation_kind("recvmsg");
    rondo::detail::request ask;
    ask.code = rondo::detail::opcode::recvmsg;
    ask.address = rondo::detail::address_of(message);
    ask.length = 1;
    co_await operation<int>(kind, from.record(), ask, result_of);
}

TEST_CASE("operation: a buffer freed while the kernel uses it aborts a sanitized program",
          "[operation]") {
    if (!with_asan()) return;
    for (const bool by_message : {false, true}) {
        const child_end end = run_child([by_message] {
            loop on;
            int pair[2];
            if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) return 1;
            char* buffer = static_cast<char*>(std::malloc(64));
            iovec part{buffer, 64};
            msghdr message{};
            message.msg_iov = &part;
            message.msg_iovlen = 1;
            on.create_task(receive_into(pair[0], buffer, by_message ? &message : nullptr));
            on.run_once();
            std::free(buffer);
            if (::write(pair[1], "boom", 4) != 4) return 2;
            on.run();
            return 0;
        });
        INFO(end.text);
        // Readiness reads by calls that the sanitizer knows, so it says so itself.
        const bool by_sanitizer = end.says("heap-use-after-free") && !end.exited();
        const bool by_rondo =
            end.says("an operation's buffer was freed before its completion came") && end.aborted();
        CHECK((by_sanitizer || by_rondo));
    }
}

}  // namespace
