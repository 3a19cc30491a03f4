// SPDX-License-Identifier: MIT
// Readiness of descriptors of other libraries: as a wait, and as callbacks, which are
// level-triggered and leave the kernel as soon as they are removed.
#include <rondo/readiness.hpp>

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <string>

#include <rondo/loop.hpp>
#include <rondo/sleep.hpp>

#include "support/core_tools.hpp"

using namespace rondo;
using namespace std::chrono_literals;

namespace {

/// Both ends of a socket pair of the operating system, as another library would have them.
class foreign_pair {
public:
    foreign_pair() {
        REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends_) == 0);
    }
    foreign_pair(const foreign_pair&) = delete;
    foreign_pair& operator=(const foreign_pair&) = delete;
    ~foreign_pair() {
        close_here();
        if (there() >= 0) ::close(there());
    }
    int here() const { return ends_[0]; }
    int there() const { return ends_[1]; }
    void send() const { REQUIRE(::send(there(), "x", 1, MSG_NOSIGNAL) == 1); }
    bool take() const {
        char byte = 0;
        return ::recv(here(), &byte, 1, 0) == 1;
    }
    void close_here() {
        if (ends_[0] >= 0) ::close(std::exchange(ends_[0], -1));
    }

private:
    int ends_[2] = {-1, -1};
};

}  // namespace

RONDO_TEST("readiness: a wait returns what is possible now", "[readiness][kernel]") {
    foreign_pair pair;
    readiness ready = co_await wait_writable(pair.here());
    CHECK(ready.writable);
    pair.send();
    ready = co_await wait_readable(pair.here());
    CHECK(ready.readable);
    CHECK_FALSE(ready.hung_up);
    CHECK(pair.take());
    ::shutdown(pair.there(), SHUT_WR);
    ready = co_await wait_readable(pair.here());
    CHECK(ready.readable);
    CHECK(ready.hung_up);
    try {
        co_await wait_readable(9999);
        FAIL("it is not open");
    } catch (const std::system_error& error) {
        CHECK(std::string(error.what()) == "poll descriptor 9999: Bad file descriptor");
    }
}

RONDO_TEST("readiness: a wait on a rondo::descriptor ends when that is closed",
           "[readiness][both]") {
    auto pair = co_await rondo_tests::connected();
    const auto wait = [](descriptor* of) -> task<> { co_await wait_readable(*of); };
    auto waiting = create_task(wait(&pair.here));
    co_await rondo_tests::finish();
    pair.here.close();
    CHECK_THROWS_AS(co_await waiting, std::system_error);
}

RONDO_TEST("readiness: waits end in all three forms", "[readiness][both]") {
    auto pair = co_await rondo_tests::connected();
    const auto wait = [&] { return wait_readable(pair.here); };
    co_await rondo_tests::check_cancelled_before(wait);
    co_await rondo_tests::check_cancelled_while_suspended(wait);
    const auto send = [](descriptor* to) -> task<> { co_await rondo_tests::transmit(*to, "x", 1); };
    co_await rondo_tests::check_cancelled_after_arrival(
        wait, [&] { create_task(send(&pair.there)); });
    const auto write = [&] { return wait_writable(pair.here); };
    co_await rondo_tests::check_cancelled_before(write);
    co_await rondo_tests::check_cancelled_after_arrival(write);
}

RONDO_TEST("readiness: a reader is called again until it has read", "[readiness][kernel]") {
    foreign_pair pair;
    loop& home = running_loop();
    int calls = 0;
    home.add_reader(pair.here(), [&] {
        if (++calls >= 3) pair.take();  // reads only then
    });
    co_await sleep(1ms);
    CHECK(calls == 0);
    pair.send();
    while (calls < 3) co_await yield_now();
    co_await sleep(1ms);
    CHECK(calls == 3);
    pair.send();
    while (calls < 4) co_await yield_now();
    CHECK(home.remove_reader(pair.here()));
    CHECK_FALSE(home.remove_reader(pair.here()));
    pair.send();
    co_await sleep(1ms);
    CHECK(calls == 4);
}

RONDO_TEST("readiness: reader and writer of one descriptor are independent",
           "[readiness][kernel]") {
    foreign_pair pair;
    loop& home = running_loop();
    int reads = 0;
    int writes = 0;
    home.add_reader(pair.here(), [&] { reads += pair.take(); });
    home.add_writer(pair.here(), [&] {
        if (++writes == 5) home.remove_writer(pair.here());  // inside its own callback
    });
    while (writes < 5) co_await yield_now();
    pair.send();
    while (reads < 1) co_await yield_now();
    co_await sleep(1ms);
    CHECK(writes == 5);
    home.add_reader(pair.here(), [&] { reads += 100 * pair.take(); });  // replaces the first
    pair.send();
    while (reads < 101) co_await yield_now();
    CHECK(home.remove_reader(pair.here()));
    CHECK_FALSE(home.remove_writer(pair.here()));
}

RONDO_TEST("readiness: once removed the descriptor can be closed, and the peer sees it at once",
           "[readiness][kernel]") {
    for (const bool from_callback : {false, true}) {
        foreign_pair pair;
        loop& home = running_loop();
        const auto take_away = [&] {
            home.remove_reader(pair.here());
            pair.close_here();
            pollfd end{pair.there(), POLLIN, 0};
            CHECK(::poll(&end, 1, 0) == 1);
            CHECK((end.revents & POLLHUP) != 0);
        };
        bool done = false;
        home.add_reader(pair.here(), [&] {
            take_away();
            done = true;
        });
        co_await rondo_tests::finish();  // the poll is in the kernel
        if (from_callback) {
            pair.send();
            while (!done) co_await yield_now();
        } else {
            take_away();
        }
    }
}

RONDO_TEST("readiness: a new watch on a number never gets events of the old one",
           "[readiness][kernel]") {
    loop& home = running_loop();
    for (int round = 0; round < 1000; ++round) {
        auto old = std::make_unique<foreign_pair>();
        int of_old = 0;
        int of_new = 0;
        home.add_reader(old->here(), [&] { ++of_old; });
        if (round % 3 != 0) co_await yield_now();
        const int number = old->here();
        old->send();  // a completion may be on its way
        home.remove_reader(number);
        old.reset();
        foreign_pair fresh;
        home.add_reader(fresh.here(), [&] { ++of_new; });
        co_await rondo_tests::finish();
        CHECK(of_old == 0);
        CHECK(of_new == 0);
        home.remove_reader(fresh.here());
    }
}

RONDO_TEST("readiness: a callback that throws is reported, and is called again",
           "[readiness][kernel]") {
    foreign_pair pair;
    loop& home = running_loop();
    int reports = 0;
    std::string text;
    home.set_exception_handler([&](const exception_context& context) {
        ++reports;
        text = context.message;
    });
    int calls = 0;
    home.add_reader(pair.here(), [&] {
        if (++calls == 3) pair.take();
        throw std::runtime_error("no");
    });
    pair.send();
    while (calls < 3) co_await yield_now();
    CHECK(reports == 3);
    CHECK(text == "the callback of add_reader on descriptor " + std::to_string(pair.here()) +
                      " threw");
    home.remove_reader(pair.here());
    CHECK_THROWS_AS(home.add_reader(9999, [] {}), std::system_error);
    CHECK_THROWS_AS(home.add_writer(-1, [] {}), std::system_error);
}

TEST_CASE("readiness: watches outside of any turn, in a host's loop, and at the end",
          "[readiness]") {
    testing::leak_probe probe;
    {
        foreign_pair pair;
        foreign_pair left;
        loop home;
        int calls = 0;
        home.add_reader(pair.here(), [&] { calls += pair.take(); });
        home.add_reader(left.here(), [] { FAIL("nobody sends anything"); });
        for (int i = 1; i <= 100; ++i) {
            pair.send();
            pollfd host{home.fd(), POLLIN, 0};
            while (calls < i) {
                REQUIRE(::poll(&host, 1, 5000) == 1);
                home.poll();
            }
        }
        CHECK(home.remove_reader(pair.here()));  // no turn runs
        pair.close_here();
        pollfd end{pair.there(), POLLIN, 0};
        CHECK(::poll(&end, 1, 0) == 1);
    }
    CHECK(probe.leaks().empty());
}
