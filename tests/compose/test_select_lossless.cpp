// SPDX-License-Identifier: MIT
// The losers of a select have taken nothing, for each kind of wait. Two sources of one kind give
// numbered items, often both in one turn; a loop of selects takes them. Every item must come once
// and in order. Some selects are cancelled from outside, at any moment.
#include <pthread.h>
#include <signal.h>

#include <array>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include <rondo/bridge.hpp>
#include <rondo/connect.hpp>
#include <rondo/directory_watch.hpp>
#include <rondo/file.hpp>
#include <rondo/file_system.hpp>
#include <rondo/ipc_channel.hpp>
#include <rondo/ipc_queue.hpp>
#include <rondo/memory_stream.hpp>
#include <rondo/net.hpp>
#include <rondo/pipe.hpp>
#include <rondo/queue.hpp>
#include <rondo/select.hpp>
#include <rondo/signal.hpp>
#include <rondo/sync.hpp>
#include <rondo/timer.hpp>
#include <rondo/udp.hpp>
#include <rondo/unix.hpp>
#include <rondo/wait.hpp>

#include "support/core_tools.hpp"

namespace {

using namespace rondo_tests;

std::uint64_t die(std::uint64_t sides) {
    return rondo::detail::random(rondo::detail::running()) % sides;
}

constexpr int items = 40;

/// The numbers that a source has given back.
struct taken_items {
    std::vector<int> taken;
    bool is_complete() const { return taken.size() >= items; }
    void check() const {
        std::vector<int> all(items);
        std::iota(all.begin(), all.end(), 0);
        CHECK(taken == all);
    }
};

template <class Source>
task<> give_some(Source& one, Source& other) {
    for (int from_one = 0, from_other = 0; from_one < items || from_other < items;) {
        const bool gives_one = from_one < items && die(4) != 0;
        const bool gives_other = from_other < items && die(4) != 0;
        if (gives_one) co_await one.give(from_one++);
        if (gives_other) co_await other.give(from_other++);
        if (die(3) == 0) co_await sleep(std::chrono::milliseconds(die(3)));
    }
}

/// One select over both, in either order. It may be cancelled by a timeout.
template <class Source>
task<bool> take_one(Source& one, Source& other, interval& every, std::uint64_t& ticks) {
    auto selected = select(one.take(), every.tick(), other.take());
    if (die(3) == 0) {
        auto what = co_await move_on_after(std::chrono::microseconds(die(1500)),
                                           std::move(selected));
        if (!what) co_return false;
        if (what->index() == 0) one.got(std::move(std::get<0>(*what)));
        if (what->index() == 1) ticks += std::get<1>(*what);
        if (what->index() == 2) other.got(std::move(std::get<2>(*what)));
        co_return true;
    }
    auto what = co_await std::move(selected);
    if (what.index() == 0) one.got(std::move(std::get<0>(what)));
    if (what.index() == 1) ticks += std::get<1>(what);
    if (what.index() == 2) other.got(std::move(std::get<2>(what)));
    co_return true;
}

template <class Source>
task<> take_all(Source& one, Source& other) {
    interval every(1ms);
    const time_point first_tick = every.next();
    std::uint64_t ticks = 0;
    for (int round = 0; round < 20'000; ++round) {
        if (one.is_complete() && other.is_complete()) break;
        const bool turned = die(2) == 0;
        co_await take_one(turned ? other : one, turned ? one : other, every, ticks);
    }
    one.check();
    other.check();
    CHECK(every.next() == first_tick + ticks * every.period());  // every tick was counted
}

template <class Source>
task<> loses_nothing() {
    auto one = co_await Source::make();
    auto other = co_await Source::make();
    co_await gather(give_some(*one, *other), take_all(*one, *other));
}

// -- other tasks ----------------------------------------------------------------------------------

template <class Queue>
struct of_queue : taken_items {
    Queue items{};
    static task<std::unique_ptr<of_queue>> make() { co_return std::make_unique<of_queue>(); }
    task<> give(int number) {
        const bool stored = items.try_put(number);
        if (!stored) throw error("a queue without a limit is full");
        co_return;
    }
    auto take() { return items.next(); }
    void got(std::optional<int> item) { taken.push_back(*item); }
};

RONDO_TEST("select: a queue keeps the items of losers", "[select]", seeds(30)) {
    co_await loses_nothing<of_queue<queue<int>>>();
}
RONDO_TEST("select: a bridge_queue keeps the items of losers", "[select][both]", seeds(30)) {
    co_await loses_nothing<of_queue<bridge_queue<int>>>();
}

struct of_broadcast : taken_items {
    broadcast<int> sender{2 * items};
    broadcast<int>::subscriber receiver = sender.subscribe();
    static task<std::unique_ptr<of_broadcast>> make() {
        co_return std::make_unique<of_broadcast>();
    }
    task<> give(int number) {
        sender.send(number);
        co_return;
    }
    auto take() { return receiver.next(); }
    void got(std::optional<int> item) { taken.push_back(*item); }
};

RONDO_TEST("select: a broadcast keeps the items of losers", "[select]", seeds(30)) {
    co_await loses_nothing<of_broadcast>();
}

/// Each permit that is given is acquired once.
struct of_semaphore : taken_items {
    semaphore permits{0};
    static task<std::unique_ptr<of_semaphore>> make() {
        co_return std::make_unique<of_semaphore>();
    }
    task<> give(int) {
        permits.release();
        co_return;
    }
    auto take() { return permits.acquire(); }
    void got(permit one) {
        one.forget();
        taken.push_back(static_cast<int>(taken.size()));
    }
};

RONDO_TEST("select: a semaphore keeps the permits of losers", "[select]", seeds(30)) {
    co_await loses_nothing<of_semaphore>();
}

/// The giver holds the mutex until it "gives"; then the taker gets it, and hands it back.
struct of_mutex : taken_items {
    mutex lock;
    queue<int> returned;
    mutex::guard held;
    static task<std::unique_ptr<of_mutex>> make() {
        auto made = std::make_unique<of_mutex>();
        made->held = co_await made->lock.lock();
        co_return made;
    }
    task<> give(int) {
        held.unlock();
        co_await returned.next();
    }
    auto take() { return lock.lock(); }
    void got(mutex::guard taker) {
        taken.push_back(static_cast<int>(taken.size()));
        held = std::move(taker);
        if (!returned.try_put(0)) throw error("a queue without a limit is full");
    }
};

RONDO_TEST("select: a mutex that a loser was handed goes to the next", "[select]", seeds(30)) {
    co_await loses_nothing<of_mutex>();
}

/// One notification for each item: the losers pass theirs on.
struct of_condition : taken_items {
    mutex lock;
    condition changed{lock};
    int given = 0;
    int seen = 0;
    static task<std::unique_ptr<of_condition>> make() {
        co_return std::make_unique<of_condition>();
    }
    task<> give(int) {
        auto guard = co_await lock.lock();
        ++given;
        changed.notify();
    }
    task<> take() {
        auto guard = co_await lock.lock();
        while (given == seen) co_await changed.wait(guard);
    }
    void got(std::monostate) { taken.push_back(seen++); }
};

RONDO_TEST("select: a condition loses no notification", "[select]", seeds(30)) {
    co_await loses_nothing<of_condition>();
}

RONDO_TEST("select: a notification of a loser wakes the next waiter", "[select]", seeds(20)) {
    mutex lock;
    condition changed(lock);
    event stop;
    const auto waits = [&]() -> task<> {
        auto guard = co_await lock.lock();
        co_await changed.wait(guard);
    };
    auto selecting = create_task(select(stop.wait(), waits()));
    co_await finish();
    auto other = create_task(waits());
    co_await finish();
    changed.notify();  // the one in the select, which loses in this turn
    stop.set();
    if (die(2) == 0) selecting.cancel();
    const std::vector<task_handle> first(1, selecting);
    co_await wait(first);
    if (!selecting.cancelled() && selecting.result().index() == 1) changed.notify();
    co_await wait_for(1s, other);
}

/// An event counts nothing: each round it is set, seen and cleared.
struct of_event : taken_items {
    event set;
    event seen;
    static task<std::unique_ptr<of_event>> make() { co_return std::make_unique<of_event>(); }
    task<> give(int) {
        set.set();
        co_await seen.wait();
        seen.clear();
    }
    auto take() { return set.wait(); }
    void got(std::monostate) {
        taken.push_back(static_cast<int>(taken.size()));
        set.clear();
        seen.set();
    }
};

RONDO_TEST("select: an event that a loser waited for stays set", "[select]", seeds(30)) {
    co_await loses_nothing<of_event>();
}

// -- the kernel -----------------------------------------------------------------------------------

/// Bytes 0, 1, 2, ... in each connection.
template <class Writer, class Reader = Writer>
struct of_stream : taken_items {
    Writer writer;
    Reader reader;
    std::array<char, 16> room{};
    of_stream(Writer w, Reader r) : writer(std::move(w)), reader(std::move(r)) {}
    task<> give(int number) {
        const char byte = static_cast<char>(number);
        co_await writer.write_all(const_buffer(&byte, 1));
    }
    auto take() { return reader.read_some(room); }
    void got(chunk bytes) {
        for (const char byte : bytes) taken.push_back(byte);
    }
};

struct over_tcp : of_stream<tcp_stream> {
    using of_stream::of_stream;
    static task<std::unique_ptr<over_tcp>> make() {
        auto listener = tcp_listener::bind({"127.0.0.1", 0});
        auto writer = co_await connect_tcp(listener.local());
        auto reader = co_await listener.accept();
        co_return std::make_unique<over_tcp>(std::move(writer), std::move(reader));
    }
};
RONDO_TEST("select: a connection keeps the bytes of losers", "[select][both]", seeds(40)) {
    co_await loses_nothing<over_tcp>();
}

struct over_unix : of_stream<unix_stream> {
    using of_stream::of_stream;
    static task<std::unique_ptr<over_unix>> make() {
        auto ends = socket_pair();
        co_return std::make_unique<over_unix>(std::move(ends.first), std::move(ends.second));
    }
};
RONDO_TEST("select: a Unix connection keeps the bytes of losers", "[select][both]", seeds(20)) {
    co_await loses_nothing<over_unix>();
}

struct over_pipe : of_stream<fd_stream> {
    using of_stream::of_stream;
    static task<std::unique_ptr<over_pipe>> make() {
        auto ends = make_pipe();
        co_return std::make_unique<over_pipe>(std::move(ends.writer), std::move(ends.reader));
    }
};
RONDO_TEST("select: a pipe keeps the bytes of losers", "[select][both]", seeds(20)) {
    co_await loses_nothing<over_pipe>();
}

struct over_memory : of_stream<memory_stream> {
    using of_stream::of_stream;
    static task<std::unique_ptr<over_memory>> make() {
        auto ends = memory_stream::pair();
        co_return std::make_unique<over_memory>(std::move(ends.first), std::move(ends.second));
    }
};
RONDO_TEST("select: a memory_stream keeps the bytes of losers", "[select][both]", seeds(20)) {
    co_await loses_nothing<over_memory>();
}

struct views_over_tcp : over_tcp {
    using over_tcp::over_tcp;
    explicit views_over_tcp(over_tcp&& made) : over_tcp(std::move(made)) {}
    static task<std::unique_ptr<views_over_tcp>> make() {
        auto made = co_await over_tcp::make();
        co_return std::make_unique<views_over_tcp>(std::move(*made));
    }
    auto take() { return reader.read_view(); }
    void got(receive_view bytes) {
        for (const char byte : bytes.text()) taken.push_back(byte);
    }
};
RONDO_TEST("select: a connection keeps the views of losers", "[select][both]", seeds(20)) {
    co_await loses_nothing<views_over_tcp>();
}

struct lines_over_tcp : over_tcp {
    explicit lines_over_tcp(over_tcp&& made) : over_tcp(std::move(made)) {}
    static task<std::unique_ptr<lines_over_tcp>> make() {
        auto made = co_await over_tcp::make();
        co_return std::make_unique<lines_over_tcp>(std::move(*made));
    }
    task<> give(int number) {
        const std::string line = std::to_string(number) + "\n";
        co_await writer.write_all(line.substr(0, 1));
        if (die(2) == 0) co_await sleep(1ms);
        co_await writer.write_all(line.substr(1));
    }
    auto take() { return reader.read_line(); }
    void got(std::optional<std::string> line) { taken.push_back(std::stoi(*line)); }
};
RONDO_TEST("select: a connection keeps the lines of losers", "[select][both]", seeds(40)) {
    co_await loses_nothing<lines_over_tcp>();
}

struct exact_over_tcp : over_tcp {
    std::array<char, 2> two{};
    explicit exact_over_tcp(over_tcp&& made) : over_tcp(std::move(made)) {}
    static task<std::unique_ptr<exact_over_tcp>> make() {
        auto made = co_await over_tcp::make();
        co_return std::make_unique<exact_over_tcp>(std::move(*made));
    }
    auto take() { return reader.read_exactly(buffer_view(two)); }
    void got(std::monostate) {
        for (const char byte : two) taken.push_back(byte);
    }
};
RONDO_TEST("select: exact amounts lose no byte in losers", "[select][both]", seeds(40)) {
    co_await loses_nothing<exact_over_tcp>();
}

/// Connections are counted: one that is lost never comes.
struct of_listener : taken_items {
    tcp_listener listener = tcp_listener::bind({"127.0.0.1", 0});
    std::vector<tcp_stream> clients, servers;
    static task<std::unique_ptr<of_listener>> make() {
        co_return std::make_unique<of_listener>();
    }
    task<> give(int) { clients.push_back(co_await connect_tcp(listener.local())); }
    auto take() { return listener.accept(); }
    void got(tcp_stream accepted) {
        taken.push_back(static_cast<int>(taken.size()));
        servers.push_back(std::move(accepted));
    }
};
RONDO_TEST("select: a listener keeps the connections of losers", "[select][both]", seeds(20)) {
    co_await loses_nothing<of_listener>();
}

struct of_datagrams : taken_items {
    udp_socket receiver = udp_socket::bind({"127.0.0.1", 0});
    udp_socket sender = udp_socket::bind({"127.0.0.1", 0});
    std::array<char, 8> room{};
    static task<std::unique_ptr<of_datagrams>> make() {
        co_return std::make_unique<of_datagrams>();
    }
    task<> give(int number) {
        const std::string text = std::to_string(number);
        co_await sender.send_to(text, receiver.local());
    }
    auto take() { return receiver.receive_from(room); }
    void got(datagram came) {
        CHECK(came.from == sender.local());
        CHECK(!came.truncated);
        taken.push_back(std::stoi(std::string(came.text())));
    }
};
RONDO_TEST("select: a UDP socket keeps the datagrams of losers", "[select][both]", seeds(30)) {
    co_await loses_nothing<of_datagrams>();
}

/// One byte with one descriptor each time.
struct of_descriptors : over_unix {
    using over_unix::over_unix;
    explicit of_descriptors(over_unix&& made) : over_unix(std::move(made)) {}
    static task<std::unique_ptr<of_descriptors>> make() {
        auto made = co_await over_unix::make();
        co_return std::make_unique<of_descriptors>(std::move(*made));
    }
    task<> give(int number) {
        const auto ends = make_pipe();
        const char byte = static_cast<char>(number);
        const int passed = ends.reader.number();
        co_await writer.send_descriptors(const_buffer(&byte, 1), std::span(&passed, 1));
    }
    auto take() { return reader.receive_descriptors(room); }
    void got(received_descriptors came) {
        CHECK(came.descriptors.size() == 1);
        for (const char byte : came.data) taken.push_back(byte);
    }
};
RONDO_TEST("select: a connection keeps the descriptors of losers", "[select][both]", seeds(20)) {
    co_await loses_nothing<of_descriptors>();
}

/// A file that has all items from the start.
struct of_file : taken_items {
    file source;
    std::array<char, 2> room{};
    explicit of_file(file f) : source(std::move(f)) {}
    static task<std::unique_ptr<of_file>> make() {
        const std::string path = "select-" + std::to_string(die(~std::uint64_t{0}));
        std::string bytes;
        for (int i = 0; i < items; ++i) bytes.push_back(static_cast<char>(i));
        co_await write_file(path, bytes);
        auto opened = co_await file::open(path);
        co_await remove_file(path);
        co_return std::make_unique<of_file>(std::move(opened));
    }
    task<> give(int) { co_return; }
    auto take() { return source.read_some(room); }
    void got(chunk bytes) {
        for (const char byte : bytes) taken.push_back(byte);
    }
};
RONDO_TEST("select: a file keeps the bytes of losers", "[select]", seeds(30)) {
    co_await loses_nothing<of_file>();
}

struct of_channel : taken_items {
    ipc_channel<int> writer, reader;
    of_channel(std::pair<ipc_channel<int>, ipc_channel<int>> ends)
        : writer(std::move(ends.first)), reader(std::move(ends.second)) {}
    static task<std::unique_ptr<of_channel>> make() {
        co_return std::make_unique<of_channel>(ipc_channel<int>::pair());
    }
    task<> give(int number) { co_await writer.send(number); }
    auto take() { return reader.receive(); }
    void got(std::optional<int> item) { taken.push_back(*item); }
};
RONDO_TEST("select: an ipc_channel keeps the packets of losers", "[select][kernel]") {
    co_await loses_nothing<of_channel>();
}

RONDO_TEST("select: signals of losers are read again", "[select][kernel]") {
    signal_set one(SIGUSR1);
    signal_set other(SIGUSR2);
    for (int round = 0; round < 200; ++round) {
        ::pthread_kill(::pthread_self(), SIGUSR1);  // other threads do not block them
        ::pthread_kill(::pthread_self(), SIGUSR2);
        int seen = 0;
        while (seen != 3) {
            const auto what = co_await select(one.next(), other.next());
            const bool first = what.index() == 0;
            const int number = first ? std::get<0>(what)->number : std::get<1>(what)->number;
            CHECK(number == (first ? SIGUSR1 : SIGUSR2));
            const int bit = first ? 1 : 2;
            CHECK((seen & bit) == 0);
            seen |= bit;
        }
    }
}

}  // namespace
