// SPDX-License-Identifier: MIT
// Connecting to a host with several addresses: the order, the timing, the first success, and that
// nothing of the other attempts is left. The names are made up. A silent address is a listener with
// a full backlog: on both kernels a connect to it then waits.
#include <rondo/connect.hpp>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <cerrno>
#include <optional>
#include <string>
#include <vector>

#include <rondo/detail/io/net/connect.hpp>
#include <rondo/detail/loop/descriptor.hpp>
#include <rondo/gather.hpp>

#include "support/core_tools.hpp"
#include "support/net_tools.hpp"
#include "support/resolver_tools.hpp"

using namespace rondo;
using namespace std::chrono_literals;
using namespace rondo_tests;

namespace {

duration elapsed_since(time_point start) { return running_loop().time() - start; }

/// An address without a listener.
endpoint refusing(const char* address) { return tcp_listener::bind({address, 0}).local(); }

/// An address that never answers.
class silent {
public:
    explicit silent(const char* address)
        : listener_(tcp_listener::bind({address, 0}, {.backlog = 0})) {}
    endpoint where() const { return listener_.local(); }
    task<> fill() { filling_.emplace(co_await connect_tcp(where())); }
    /// Accepts one more connection.
    task<tcp_stream> answer() { return listener_.accept(); }

private:
    tcp_listener listener_;
    std::optional<tcp_stream> filling_;
};

endpoint at_port(const endpoint& where) { return where.with_port(0); }

/// Makes "some.test" resolve to these addresses, which share one port.
made_up_names at(std::vector<endpoint> all) {
    made_up_names names;
    names.know("some.test", std::move(all));
    names.use();
    return names;
}

/// Listens on that address, at a port that is known already.
tcp_listener listening_at(const char* address, std::uint16_t port) {
    return tcp_listener::bind({address, port});
}

// -- timing ---------------------------------------------------------------------------------------

RONDO_TEST("connect_tcp: 250 ms after a silent address the next one is tried", "[connect]") {
    silent first("127.0.0.1");
    co_await first.fill();
    const std::uint16_t port = first.where().port();
    auto second = listening_at("127.0.0.2", port);
    at({at_port(first.where()), {"127.0.0.2", 0}});
    const time_point start = running_loop().time();
    auto peer = co_await connect_tcp("some.test", port);
    REQUIRE(peer.remote() == second.local());
    REQUIRE(elapsed_since(start) >= 250ms);
    REQUIRE(elapsed_since(start) < 260ms);
}

// A host that is cut off and answers later.
RONDO_TEST("connect_tcp: a host that comes back wins over one that is still silent", "[connect]") {
    auto first = tcp_listener::bind({"127.0.0.1", 0});
    const std::uint16_t port = first.local().port();
    auto second = listening_at("127.0.0.2", port);
    at({{"127.0.0.1", 0}, {"127.0.0.2", 0}});
    testing::cut_off({"127.0.0.1", 0});
    const time_point start = running_loop().time();
    auto peer = co_await connect_tcp("some.test", port);
    REQUIRE(peer.remote() == second.local());
    REQUIRE(elapsed_since(start) >= 250ms);
    REQUIRE(elapsed_since(start) < 260ms);

    testing::cut_off({"127.0.0.2", 0});
    const std::string text =
        co_await text_of_failure<timeout_error>(connect_tcp("some.test", port, {.timeout = 1min}));
    REQUIRE(text == "connect some.test:" + std::to_string(port) + ": timed out after 60s");
    auto connecting = create_task(connect_tcp("some.test", port));
    co_await sleep(1h);
    REQUIRE_FALSE(connecting.done());
    testing::restore({"127.0.0.1", 0});
    peer = co_await std::move(connecting);
    REQUIRE(peer.remote() == first.local());
}

RONDO_TEST("connect_tcp: attempt_delay is the time between attempts", "[connect]") {
    silent first("127.0.0.1");
    co_await first.fill();
    const std::uint16_t port = first.where().port();
    auto third = listening_at("127.0.0.3", port);
    at({{"127.0.0.1", 0}, {"127.0.0.1", 0}, {"127.0.0.1", 0}, {"127.0.0.3", 0}});
    const time_point start = running_loop().time();
    auto peer = co_await connect_tcp("some.test", port, {.attempt_delay = 2s});
    REQUIRE(peer.remote() == third.local());
    REQUIRE(elapsed_since(start) >= 6s);
    REQUIRE(elapsed_since(start) < 6010ms);
}

RONDO_TEST("connect_tcp: after a refusal the next address is tried at once", "[connect]") {
    auto second = tcp_listener::bind({"127.0.0.2", 0});
    const std::uint16_t port = second.local().port();
    at({{"127.0.0.1", 0}, {"127.0.0.3", 0}, {"127.0.0.2", 0}});
    const time_point start = running_loop().time();
    auto peer = co_await connect_tcp("some.test", port);
    REQUIRE(peer.remote() == second.local());
    REQUIRE(elapsed_since(start) < 20ms);
}

RONDO_TEST("connect_tcp: a late answer of an earlier address wins over a silent later one",
           "[connect]") {
    silent first("127.0.0.1");
    co_await first.fill();
    at({{"127.0.0.1", 0}, {"127.0.0.1", 0}});
    auto connecting = create_task(connect_tcp("some.test", first.where().port()));
    co_await sleep(1s);
    REQUIRE_FALSE(connecting.done());
    auto filler = co_await first.answer();
    auto peer = co_await std::move(connecting);
    REQUIRE(peer.remote() == first.where());
}

RONDO_TEST("connect_tcp: the families take turns, beginning with that of the first address",
           "[connect]") {
    silent four("127.0.0.1");
    co_await four.fill();
    const std::uint16_t port = four.where().port();
    auto six = listening_at("::1", port);
    const endpoint v4{"127.0.0.1", 0}, v6{"::1", 0}, refuses{"::2", 0};
    at({v4, v4, v4, refuses, v6});  // order: v4, `refuses`, v4 at once, v6 after 250 ms
    time_point start = running_loop().time();
    auto peer = co_await connect_tcp("some.test", port);
    REQUIRE(peer.remote() == six.local());
    REQUIRE(elapsed_since(start) >= 500ms);
    REQUIRE(elapsed_since(start) < 520ms);
    at({v6, v4, v4, v4});
    start = running_loop().time();
    peer = co_await connect_tcp("some.test", port);
    REQUIRE(peer.remote() == six.local());
    REQUIRE(elapsed_since(start) < 20ms);
}

RONDO_TEST("connect_tcp: at most 32 addresses are tried", "[connect]") {
    const std::uint16_t port = refusing("127.0.0.1").port();
    auto beyond = listening_at("127.0.0.2", port);
    std::vector<endpoint> all(32, endpoint{"127.0.0.1", 0});
    all.push_back({"127.0.0.2", 0});
    at(all);
    const std::string text =
        co_await text_of_failure<std::system_error>(connect_tcp("some.test", port));
    REQUIRE(text == "connect some.test:" + std::to_string(port) + ": Connection refused");
}

RONDO_TEST("connect_tcp: only one family, if it is asked for or bound to", "[connect][both]") {
    auto four = tcp_listener::bind({"127.0.0.1", 0});
    const std::uint16_t port = four.local().port();
    made_up_names names = at({{"::1", 0}, {"127.0.0.1", 0}});
    std::vector<address_family> asked;
    rondo::detail::resolver::of(running_loop())
        .set_source([&asked](const std::string&, address_family family) {
            asked.push_back(family);
            rondo::detail::answer given;
            given.addresses = {{"127.0.0.1", 0}};
            return given;
        });
    auto peer = co_await connect_tcp("some.test", port, {.family = address_family::ipv4});
    REQUIRE(peer.remote() == four.local());
    peer = co_await connect_tcp("some.test", port, {.local = {"127.0.0.1", 0}});
    REQUIRE(peer.remote() == four.local());
    REQUIRE(asked == std::vector{address_family::ipv4, address_family::ipv4});
    const std::string text = co_await text_of_failure<std::system_error>(
        connect_tcp("127.0.0.1", port, {.family = address_family::ipv6}));
    REQUIRE(text == "connect 127.0.0.1:" + std::to_string(port) +
                        ": Address family for hostname not supported");
}

// -- failures -------------------------------------------------------------------------------------

RONDO_TEST("connect_tcp: if all are silent the timeout ends them and names the target",
           "[connect]") {
    silent first("127.0.0.1");
    co_await first.fill();
    at({{"127.0.0.1", 0}, {"127.0.0.1", 0}});
    const std::uint16_t port = first.where().port();
    const time_point start = running_loop().time();
    const std::string text =
        co_await text_of_failure<timeout_error>(connect_tcp("some.test", port, {.timeout = 3s}));
    REQUIRE(text == "connect some.test:" + std::to_string(port) + ": timed out after 3s");
    REQUIRE(elapsed_since(start) >= 3s);
    REQUIRE(elapsed_since(start) < 3010ms);
    REQUIRE(running_loop().stats().operations == 0);
}

RONDO_TEST("connect_tcp: the timeout covers the lookup", "[connect][kernel]") {
    hanging_names names;
    names.use();
    const std::string text =
        co_await text_of_failure<timeout_error>(connect_tcp("dead.test", 80, {.timeout = 1ms}));
    REQUIRE(text == "connect dead.test:80: timed out after 1ms");
    REQUIRE(names.ended() == 0);
    names.go_on();
}

RONDO_TEST("connect_tcp: if all are refused alike, the error says it once", "[connect][both]") {
    const std::uint16_t port = refusing("127.0.0.1").port();
    at({{"127.0.0.1", 0}, {"127.0.0.2", 0}, {"127.0.0.3", 0}});
    const std::string text =
        co_await text_of_failure<std::system_error>(connect_tcp("some.test", port));
    REQUIRE(text == "connect some.test:" + std::to_string(port) + ": Connection refused");
}

// The first operation of the run is the first attempt's; it fails with another error.
TEST_CASE("connect_tcp: if they fail differently, the error has all reasons", "[connect]") {
    auto body = []() -> task<> {
        at({{"127.0.0.1", 0}, {"127.0.0.2", 0}, {"::1", 0}});
        const std::string text =
            co_await text_of_failure<std::system_error>(connect_tcp("some.test", 9));
        REQUIRE(text ==
                "connect some.test:9: 127.0.0.1:9: Network is unreachable, [::1]:9: "
                "Connection refused, 127.0.0.2:9: Connection refused");
    };
    testing::simulate(body, {.what = testing::fault::error, .error_number = ENETUNREACH});
}

RONDO_TEST("connect_tcp: an address that cannot be connected to is an error, not a crash",
           "[connect][both]") {
    std::string text =
        co_await text_of_failure<std::system_error>(connect_tcp(endpoint::unix_path("/nowhere")));
    REQUIRE(text == "connect unix:/nowhere: Address family not supported by protocol");
    text = co_await text_of_failure<std::system_error>(connect_tcp(endpoint()));
    REQUIRE(text == "connect nowhere: Address family not supported by protocol");
}

// -- the winner and the others --------------------------------------------------------------------

// Both are accepted within one latency of the simulated network, so often both connections exist
// before an attempt has run again. The probe at the end counts the descriptors.
RONDO_TEST("connect_tcp: of two that connect at the same moment one is closed", "[connect][both]",
           seeds(100)) {
    auto first = tcp_listener::bind({"127.0.0.1", 0});
    auto second = listening_at("127.0.0.2", first.local().port());
    at({{"127.0.0.1", 0}, {"127.0.0.2", 0}});
    auto peer = co_await connect_tcp("some.test", first.local().port(), {.attempt_delay = 0s});
    const bool first_won = peer.remote() == first.local();
    auto& winner = first_won ? first : second;
    auto accepted = co_await winner.accept();
    REQUIRE(accepted.remote() == peer.local());
    REQUIRE(running_loop().stats().tasks == 1);
    REQUIRE(running_loop().stats().operations <= 1);  // the listener's accept
}

RONDO_TEST("connect_tcp: when it returns the other attempts have ended", "[connect]", seeds(20)) {
    silent first("127.0.0.1");
    co_await first.fill();
    const std::uint16_t port = first.where().port();
    auto second = listening_at("127.0.0.2", port);
    at({{"127.0.0.1", 0}, {"127.0.0.1", 0}, {"127.0.0.1", 0}, {"127.0.0.2", 0}});
    auto peer = co_await connect_tcp("some.test", port);
    REQUIRE(running_loop().stats().tasks == 1);
    REQUIRE(running_loop().stats().operations == 0);
    REQUIRE(running_loop().stats().timers == 0);
}

// -- cancelling -----------------------------------------------------------------------------------

RONDO_TEST("connect_tcp: several addresses, cancelled before it begins", "[connect][both]") {
    auto listener = tcp_listener::bind({"127.0.0.1", 0});
    at({{"127.0.0.1", 0}, {"127.0.0.1", 0}});
    co_await check_cancelled_before(
        [&] { return connect_tcp("some.test", listener.local().port()); });
    co_await check_cancelled_before([&] { return connect_tcp(listener.local()); });
}

RONDO_TEST("connect_tcp: several addresses, cancelled while all are silent", "[connect][both]") {
    silent first("127.0.0.1");
    co_await first.fill();
    at({{"127.0.0.1", 0}, {"127.0.0.1", 0}, {"127.0.0.1", 0}});
    const auto make = [&] {
        return connect_tcp("some.test", first.where().port(), {.attempt_delay = 1ms});
    };
    co_await check_cancelled_while_suspended(make);  // in the lookup, or in the first attempt
    observed seen;
    auto waiting = create_task(observe(make, &seen));
    while (running_loop().stats().operations < 3) co_await sleep(1ms);  // all three attempts
    waiting.cancel();
    try {
        co_await waiting;
    } catch (const future_cancelled&) {
    }
    REQUIRE(seen.first == outcome_of_wait::cancelled);
    REQUIRE(seen.next_threw);
    REQUIRE(running_loop().stats().operations == 0);
}

RONDO_TEST("connect_tcp: one address, in the other two forms", "[connect][both]") {
    silent all("127.0.0.1");
    co_await all.fill();
    co_await check_cancelled_while_suspended([&] { return connect_tcp(all.where()); });
    auto listener = tcp_listener::bind({"127.0.0.1", 0});
    if (testing::simulated())  // loopback connects at once, so nothing is left to cancel
        co_await check_cancelled_after_arrival([&] { return connect_tcp(listener.local()); });
}

/// Cancels a task when one of its children is ready, since its operation has completed.
class cancels_with_a_child_ready {
public:
    explicit cancels_with_a_child_ready(future<> whom) : whom_(std::move(whom)) { look(); }
    bool over() const noexcept { return over_; }
    bool hit() const noexcept { return hit_; }

private:
    void look() {
        for (const task_handle& each : all_tasks())
            hit_ = hit_ || each.state() == task_state::ready;
        over_ = hit_ || whom_.done();
        if (hit_) whom_.cancel();
        if (!over_) running_loop().remote().call_soon_threadsafe([this] { look(); });
    }
    future<> whom_;
    bool over_ = false;
    bool hit_ = false;
};

// Only on the simulator: a real kernel sends the next SYN only after a second.
RONDO_TEST("connect_tcp: several addresses, cancelled as one has connected, which is given",
           "[connect]", seeds(20)) {
    silent first("127.0.0.1");
    co_await first.fill();
    at({{"127.0.0.1", 0}, {"127.0.0.1", 0}});
    observed seen;
    const auto make = [&] {
        return connect_tcp("some.test", first.where().port(), {.attempt_delay = 1ms});
    };
    auto waiting = create_task(observe(make, &seen));
    while (running_loop().stats().operations < 2) co_await sleep(1ms);  // both attempts
    auto let_in = create_task(first.answer());
    auto filler = co_await std::move(let_in);
    cancels_with_a_child_ready canceller(waiting);
    try {
        co_await waiting;
    } catch (const future_cancelled&) {
    }
    while (!canceller.over()) co_await yield_now();
    REQUIRE(canceller.hit());
    REQUIRE(seen.first == outcome_of_wait::value);
    REQUIRE(seen.next_threw);
}

RONDO_TEST("connect_tcp: several addresses, cancelled at any moment", "[connect]", seeds(50)) {
    auto listener = tcp_listener::bind({"127.0.0.1", 0});
    at({{"127.0.0.9", 0}, {"127.0.0.1", 0}, {"127.0.0.1", 0}});
    int connected = 0, given_up = 0;
    auto connect = [&]() -> task<> {
        auto peer =
            co_await connect_tcp("some.test", listener.local().port(), {.attempt_delay = 500us});
        ++connected;
    };
    for (int i = 0; i < 60; ++i) {
        const bool ended =
            co_await cancel_in_form(form::racing, connect, std::chrono::microseconds(100 * i));
        given_up += ended ? 1 : 0;
    }
    REQUIRE(given_up > 0);
    REQUIRE(connected > 0);
    REQUIRE(connected + given_up >= 60);
}

/// Connects to two addresses, of which the second answers. A fault must give an error that names
/// it,
/// and nothing may be left of it, which is checked after each run.
task<> connect_or_say_why(int* connected) {
    try {
        silent first("127.0.0.1");
        co_await first.fill();
        auto listener = listening_at("127.0.0.2", first.where().port());
        made_up_names names;
        names.know("some.test", {{"127.0.0.1", 0}, {"127.0.0.2", 0}});
        names.use();
        auto peer = co_await connect_tcp("some.test", listener.local().port(),
                                         {.timeout = 1min, .attempt_delay = 1ms});
        REQUIRE(peer.remote() == listener.local());
        ++*connected;
    } catch (const std::system_error&) {
    }
}

TEST_CASE("connect_tcp: after any fault or cancellation nothing is left",
          "[connect]") {
    std::vector<testing::sim_options> all;
    for (std::uint64_t at = 0; at < 12; ++at) {
        for (const auto what : {testing::fault::error, testing::fault::cancel,
                                testing::fault::delay, testing::fault::cancel_main})
            all.push_back({.what = what, .at_operation = at, .error_number = ENETUNREACH});
        all.push_back({.at_call = at, .error_number = EMFILE});
        all.push_back({.at_call = at + 12, .error_number = EMFILE});
    }
    int connected = 0, cancelled = 0;
    for (testing::sim_options& each : all)
        for (each.seed = 1; each.seed <= 5; ++each.seed) {
            INFO("fault " << int(each.what) << " at " << each.at_operation << ", call "
                          << each.at_call << ", seed " << each.seed);
            try {
                testing::simulate([&] { return connect_or_say_why(&connected); }, each);
            } catch (const future_cancelled&) {
                ++cancelled;
            }
        }
    REQUIRE(connected > 50);
    REQUIRE(cancelled > 10);
}

// -- options --------------------------------------------------------------------------------------

int option_of(const descriptor& socket, int level, int name) {
    int value = -1;
    socklen_t size = sizeof value;
    REQUIRE(rondo::detail::get_option(socket, level, name, &value, &size) >= 0);
    return value;
}

RONDO_TEST("connect_tcp: sets the options of its sockets", "[connect][both]") {
    auto listener = tcp_listener::bind({"127.0.0.1", 0});
    const endpoint where = listener.local();
    connect_options options{.keep_alive = 1500ms, .send_buffer = 40'000, .receive_buffer = 50'000};
    auto socket = co_await rondo::detail::try_connect(where, options);
    REQUIRE(socket);
    REQUIRE(option_of(*socket, SOL_SOCKET, SO_KEEPALIVE) == 1);
    REQUIRE(option_of(*socket, IPPROTO_TCP, TCP_KEEPIDLE) == 2);  // rounded up
    REQUIRE(option_of(*socket, IPPROTO_TCP, TCP_KEEPINTVL) == 2);
    REQUIRE(option_of(*socket, IPPROTO_TCP, TCP_NODELAY) == 1);
    // The kernel doubles it for book-keeping.
    REQUIRE(option_of(*socket, SOL_SOCKET, SO_SNDBUF) == 2 * 40'000);
    REQUIRE(option_of(*socket, SOL_SOCKET, SO_RCVBUF) == 2 * 50'000);
    const connect_options none{.no_delay = false};
    socket = co_await rondo::detail::try_connect(where, none);
    REQUIRE(option_of(*socket, SOL_SOCKET, SO_KEEPALIVE) == 0);
    REQUIRE(option_of(*socket, IPPROTO_TCP, TCP_NODELAY) == 0);
    const connect_options most{.keep_alive = duration::max()};
    socket = co_await rondo::detail::try_connect(where, most);
    REQUIRE(option_of(*socket, IPPROTO_TCP, TCP_KEEPIDLE) == 32767);
}

RONDO_TEST("connect_tcp: from the local address of its options", "[connect][both]") {
    auto listener = tcp_listener::bind({"127.0.0.1", 0});
    auto peer = co_await connect_tcp(listener.local(), {.local = {"127.0.0.1", 0}});
    REQUIRE(peer.local().address() == "127.0.0.1");
    const endpoint taken = listener.local();
    const std::string text = co_await text_of_failure<std::system_error>(
        connect_tcp(listener.local(), {.local = taken}));
    REQUIRE(text == "bind " + taken.text() + ": Address already in use");
}

RONDO_TEST("connect_tcp: a local address that cannot be bound ends all attempts",
           "[connect][both]") {
    auto listener = tcp_listener::bind({"127.0.0.1", 0});
    at({{"127.0.0.1", 0}, {"127.0.0.1", 0}});
    const std::string text = co_await text_of_failure<std::system_error>(
        connect_tcp("some.test", listener.local().port(), {.local = listener.local()}));
    REQUIRE(text == "bind " + listener.local().text() + ": Address already in use");
}

}  // namespace
