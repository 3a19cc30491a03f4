// SPDX-License-Identifier: MIT
// Scenarios of the fault sweep: connecting by name to hosts with several addresses, retried
// exchanges, peers that abort, servers with a grace period, refused descriptors, datagrams to
// several receivers.
#pragma once

#include <set>
#include <vector>

#include "support/resolver_tools.hpp"
#include "sweep/composition.hpp"
#include "sweep/unix.hpp"

namespace fault_sweep {

// -- by name --------------------------------------------------------------------------------------

/// "some.test" has the addresses 127.0.0.1, .2 and .3.
inline void know_three_addresses() {
    rondo_tests::made_up_names names;
    names.know("some.test", {{"127.0.0.1", 0}, {"127.0.0.2", 0}, {"127.0.0.3", 0}});
    names.use();
}

inline task<> ask_by_name(std::uint16_t port, connect_options options, verdict& v) {
    auto stream = co_await connect_tcp("some.test", port, options);
    co_await stream.write_all("question");
    co_await stream.shutdown_write();
    const std::string answer = co_await stream.read_all();
    v.expect(is_prefix(answer, "question"), "the answer is what was sent");
    if (answer != "question") throw error("the connection ended too early");
}

inline task<> name_with_one_that_refuses(verdict& v) {
    know_three_addresses();
    auto listener = tcp_listener::bind({"127.0.0.2", 0});
    const std::uint16_t port = listener.local().port();
    co_await beside_server(std::move(listener), echo_connection, ask_by_name(port, {}, v));
}

inline task<> name_with_one_that_is_silent(verdict& v) {
    know_three_addresses();
    auto silent = tcp_listener::bind({"127.0.0.1", 0});
    const std::uint16_t port = silent.local().port();
    testing::cut_off(silent.local());
    auto listener = tcp_listener::bind({"127.0.0.2", port});
    // The time limit matters if the fault hits the other addresses: only the silent one is left.
    const connect_options options{.timeout = 10s};
    co_await beside_server(std::move(listener), echo_connection, ask_by_name(port, options, v));
}

/// Several connects succeed at the same moment; all but one of the connections are closed.
inline task<> name_with_three_that_answer(verdict& v) {
    know_three_addresses();
    testing::set_network({.latency_least = 1ms, .latency_most = 1ms});
    auto one = tcp_listener::bind({"127.0.0.1", 0});
    const std::uint16_t port = one.local().port();
    auto other = tcp_listener::bind({"127.0.0.2", port});
    auto third = tcp_listener::bind({"127.0.0.3", port});
    auto stream = co_await connect_tcp("some.test", port, {.attempt_delay = 100us});
    v.expect(stream.remote().port() == port, "a connection goes to the requested port");
}

inline task<> name_where_all_refuse(verdict& v) {
    know_three_addresses();
    bool failed = false;
    try {
        auto stream = co_await connect_tcp("some.test", 7);
    } catch (const std::system_error&) {
        failed = true;
    }
    v.expect(failed, "a connect without a listener fails");
}

inline task<> name_where_all_are_silent(verdict& v) {
    know_three_addresses();
    for (const char* host : {"127.0.0.1", "127.0.0.2", "127.0.0.3"}) testing::cut_off({host, 0});
    const time_point start = running_loop().time();
    bool failed = false;
    try {
        auto stream = co_await connect_tcp("some.test", 7, {.timeout = 2s});
    } catch (const std::system_error&) {
        failed = true;
    }
    v.expect(failed, "a host that is cut off is not reached");
    v.expect(running_loop().time() - start < 2s + 1h + 1ms, "the time is limited");
}

inline task<> name_that_nobody_knows(verdict& v) {
    know_three_addresses();
    bool failed = false;
    try {
        auto stream = co_await connect_tcp("nowhere.test", 7);
    } catch (const std::system_error&) {
        failed = true;
    }
    v.expect(failed, "an unknown name is an error");
}

// -- retrying, resetting, giving time -------------------------------------------------------------

/// Retries a whole exchange, each time over a new connection.
inline task<> exchange_tried_again(verdict& v) {
    auto listener = tcp_listener::bind({"127.0.0.1", 0});
    const endpoint where = listener.local();
    int attempts = 0;
    auto attempt = [&]() -> task<> {
        ++attempts;
        co_await ask_once(where, v);
    };
    auto asking = retry({.attempts = 3}, attempt);
    co_await beside_server(std::move(listener), echo_connection, std::move(asking));
    v.expect(attempts <= 2, "one fault costs at most one more attempt");
}

inline task<> abort_after(tcp_stream& stream, duration delay) {
    co_await sleep(delay);
    stream.abort();
}

/// abort sets SO_LINGER. Linux never refuses that, but a fault does, and abort cannot report it:
/// then the peer sees a normal end.
inline task<> aborted_by_the_peer(verdict& v) {
    auto both = co_await over_tcp::make();
    co_await both.writer.write_all("that much");
    std::string got;
    auto read = [&]() -> task<> {
        std::string buffer(4, '?');
        while (auto chunk = co_await both.reader.read_some(buffer)) got += chunk.text();
    };
    bool failed = false;
    try {
        co_await gather(read(), abort_after(both.writer, 20ms));
    } catch (const std::system_error&) {
        failed = true;
    }
    v.expect(failed || got == "that much", "bytes lost by an abort are an error");
}

/// The server is cancelled in the middle of an answer, and has the time to finish it.
inline task<> answer_slowly(tcp_stream stream) {
    const std::string asked = co_await stream.read_all();
    co_await sleep(50ms);
    co_await stream.write_all(asked);
    co_await stream.shutdown_write();
}

inline task<> server_with_grace(verdict& v) {
    auto listener = tcp_listener::bind({"127.0.0.1", 0});
    const endpoint where = listener.local();
    auto serving = create_task(serve(std::move(listener), answer_slowly, {.grace = 2h}));
    auto stop = [](future<>& server) -> task<> {
        co_await sleep(30ms);
        server.cancel();
    };
    co_await gather(ask_once(where, v), stop(serving));
    std::vector<future<>> all;
    all.push_back(serving);
    co_await wait(std::move(all));
    v.expect(serving.done(), "a server that was cancelled ends");
}

// -- Unix -----------------------------------------------------------------------------------------

inline task<> peers_known(verdict& v) {
    auto both = co_await over_unix::make();
    const credentials client = both.writer.peer_credentials();
    const credentials server = both.reader.peer_credentials();
    v.expect(client.pid == server.pid && client.uid == server.uid, "both ends are one process");
    co_await both.writer.shutdown_write();
    const std::string rest = co_await both.reader.read_all();
    v.expect(rest.empty(), "nothing was sent");
}

/// Sends bytes, each with a descriptor; the receiver takes the last.
inline task<> send_three_pipes(unix_stream& to) {
    for (int i = 0; i < 3; ++i) {
        pipe_ends made = make_pipe();
        const std::array numbers{made.reader.number()};
        co_await made.writer.write_all(std::to_string(i));
        co_await to.send_descriptors("p", numbers);
    }
    co_await to.shutdown_write();
}

/// Throws: limit_error if more come.
inline task<> take_a_pipe(unix_stream& from, std::size_t most, verdict& v) {
    std::string byte(1, '?');
    auto got = co_await from.receive_descriptors(byte, most);
    if (!got) throw error("the stream has ended");
    v.expect(got.descriptors.size() == 1 && most == 1,
             "at most the allowed number of descriptors comes");
    fd_stream last(std::move(got.descriptors.front()));
    const std::string text = co_await last.read_all();
    v.expect(text == "2", "descriptors come in order");
}

inline task<> take_the_last_pipe(unix_stream& from, verdict& v) {
    for (int i = 0; i < 2; ++i) {
        bool refused = false;
        try {
            co_await take_a_pipe(from, 0, v);
        } catch (const limit_error&) {
            refused = true;
        }
        v.expect(refused, "more descriptors than allowed are an error");
        const std::string byte = co_await from.read_exactly(1);
        v.expect(byte == "p", "the bytes sent with them stay");
    }
    co_await take_a_pipe(from, 1, v);
}

inline task<> descriptors_refused(verdict& v) {
    auto both = co_await over_unix::make();
    co_await gather(send_three_pipes(both.writer), take_the_last_pipe(both.reader, v));
}

// -- datagrams ------------------------------------------------------------------------------------

/// Each receiver gets its own datagrams, whole and in order, even if its waits time out meanwhile.
inline task<> receive_three(udp_socket& socket, char name, verdict& v) {
    std::string buffer(100, '?');
    duration limit = 1ms;
    for (int next = 0; next < 3;) {
        auto got = co_await move_on_after(limit, socket.receive_from(buffer));
        limit *= 2;
        if (!got) continue;
        limit = 1ms;
        v.expect(got->text() == name + std::to_string(next++),
                 "datagrams come to their receiver, in order");
    }
}

inline task<> send_three_to_each(udp_socket& from, endpoint one, endpoint other) {
    for (int i = 0; i < 3; ++i) {
        const std::string number = std::to_string(i);
        co_await gather(from.send_to("a" + number, one), from.send_to("b" + number, other));
        co_await sleep(7ms);
    }
}

inline task<> datagrams_to_several(verdict& v) {
    auto one = udp_socket::bind({"127.0.0.1", 0});
    auto other = udp_socket::bind({"127.0.0.1", 0});
    auto from = udp_socket::open();
    co_await gather(receive_three(one, 'a', v), receive_three(other, 'b', v),
                    send_three_to_each(from, one.local(), other.local()));
}

/// A datagram that is too long is truncated and says so; an empty one is a datagram too.
inline task<> datagrams_of_all_sizes(verdict& v) {
    auto to = udp_socket::bind({"127.0.0.1", 0});
    auto from = udp_socket::open();
    const endpoint where = to.local();
    std::string buffer(10, '?');
    for (const std::size_t size : {5U, 0U, 10U, 11U}) {
        const std::string bytes = letters(size);
        co_await from.send_to(bytes, where);
        const datagram got = co_await wait_for(1s, to.receive_from(buffer));
        v.expect(got.size() == std::min<std::size_t>(size, 10),
                 "a datagram comes whole, or up to the buffer's size");
        v.expect(is_prefix(got.text(), bytes), "its bytes are the sent ones");
        v.expect(got.truncated == (size > 10), "a truncated datagram says so");
    }
}

}  // namespace fault_sweep
