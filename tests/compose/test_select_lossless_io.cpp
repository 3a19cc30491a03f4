// SPDX-License-Identifier: MIT
// The losers of a select over waits for the kernel have taken nothing.
#include <pthread.h>
#include <signal.h>

#include <array>
#include <memory>
#include <string>
#include <vector>

#include <rondo/connect.hpp>
#include <rondo/directory_watch.hpp>
#include <rondo/file.hpp>
#include <rondo/file_system.hpp>
#include <rondo/ipc_channel.hpp>
#include <rondo/ipc_queue.hpp>
#include <rondo/memory_stream.hpp>
#include <rondo/net.hpp>
#include <rondo/pipe.hpp>
#include <rondo/select.hpp>
#include <rondo/signal.hpp>
#include <rondo/udp.hpp>
#include <rondo/unix.hpp>

#include "compose/lossless.hpp"

namespace {

using namespace rondo_tests;

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
