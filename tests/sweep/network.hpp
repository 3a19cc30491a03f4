// SPDX-License-Identifier: MIT
// Scenarios of the fault sweep: listeners, servers, connects with several attempts, a failing
// network, datagrams.
#pragma once

#include <set>
#include <vector>

#include "sweep/streams.hpp"

namespace fault_sweep {

// -- listeners and servers ------------------------------------------------------------------------

inline task<> ask_once(endpoint where, verdict& v) {
    auto stream = co_await connect_tcp(where);
    co_await stream.write_all("question");
    co_await stream.shutdown_write();
    const std::string answer = co_await stream.read_all();
    v.expect(is_prefix(answer, "question"), "the answer is what was sent");
    if (answer != "question") throw error("the connection ended too early");
}

inline task<> echo_connection(tcp_stream stream) { co_await echo_until_end(stream); }

/// Runs `main` and a server, which is cancelled when main ends.
template <class Handler>
task<> beside_server(tcp_listener listener, Handler handler, task<> main,
                     serve_options options = {}) {
    auto body = [&](task_group& group) -> task<> {
        group.start(serve(std::move(listener), std::move(handler), options));
        co_await std::move(main);
        group.cancel();
    };
    co_await with_task_group(body);
}

inline task<> ask_many(endpoint where, int count, verdict& v) {
    std::vector<task<>> all;
    for (int i = 0; i < count; ++i) all.push_back(ask_once(where, v));
    co_await gather(std::move(all));
}

inline task<> accept_storm(verdict& v) {
    auto listener = tcp_listener::bind({"127.0.0.1", 0});
    const endpoint where = listener.local();
    co_await beside_server(std::move(listener), echo_connection, ask_many(where, 5, v));
}

inline task<> serve_few_at_once(verdict& v) {
    auto listener = tcp_listener::bind({"127.0.0.1", 0});
    const endpoint where = listener.local();
    co_await beside_server(std::move(listener), echo_connection, ask_many(where, 3, v),
                           {.connections_max = 1});
}

inline task<> fail_connection(tcp_stream stream) {
    co_await stream.read_exactly(1);
    throw error("this handler always fails");
}

inline task<> ask_in_vain(endpoint where, verdict& v) {
    auto stream = co_await connect_tcp(where);
    co_await stream.write_all("question");
    std::string answer;
    try {
        answer = co_await stream.read_all();
    } catch (const std::system_error&) {
    }
    v.expect(answer.empty(), "a failing handler sends no bytes");
}

inline task<> ask_in_vain_twice(endpoint where, verdict& v) {
    co_await gather(ask_in_vain(where, v), ask_in_vain(where, v));
}

inline task<> serve_with_failing_handlers(verdict& v) {
    auto listener = tcp_listener::bind({"127.0.0.1", 0});
    const endpoint where = listener.local();
    co_await beside_server(std::move(listener), fail_connection, ask_in_vain_twice(where, v));
}

inline task<> idle_connections(endpoint where) {
    auto one = co_await connect_tcp(where);
    auto other = co_await connect_tcp(where);
    co_await sleep(10ms);
}

inline task<> server_shut_down_under_connections(verdict&) {
    auto listener = tcp_listener::bind({"127.0.0.1", 0});
    const endpoint where = listener.local();
    co_await beside_server(std::move(listener), echo_connection, idle_connections(where));
}

inline task<> close_listener_after(tcp_listener& listener, duration delay) {
    co_await sleep(delay);
    co_await listener.close();
}

inline task<> accept_without_end(tcp_listener& listener) {
    for (;;) auto stream = co_await listener.accept();
}

inline task<> connect_only(endpoint where) { auto stream = co_await connect_tcp(where); }

inline task<> listener_closed_while_accepting(verdict& v) {
    auto listener = tcp_listener::bind({"127.0.0.1", 0});
    bool failed = false;
    try {
        co_await gather(accept_without_end(listener), connect_only(listener.local()),
                        close_listener_after(listener, 20ms));
    } catch (const std::system_error&) {
        failed = true;
    }
    v.expect(failed, "an accept on a closed listener fails");
}

inline task<> nobody_accepts(verdict&) {
    auto listener = tcp_listener::bind({"127.0.0.1", 0});
    auto one = co_await connect_tcp(listener.local());
    auto other = co_await connect_tcp(listener.local());
    co_await one.write_all("hello");
}

inline task<> connections_in_a_group(verdict& v) {
    auto listener = tcp_listener::bind({"127.0.0.1", 0});
    auto body = [&](task_group& group) -> task<> {
        for (int i = 0; i < 3; ++i) {
            group.start(ask_once(listener.local(), v));
            auto stream = co_await listener.accept();
            group.start(echo_connection(std::move(stream)));
        }
    };
    co_await with_task_group(body);
}

/// Requests come over one connection, pass through two queues, and are answered.
inline task<> read_into(tcp_stream& from, queue<std::string>& to) {
    while (auto line = co_await from.read_line()) co_await to.put(std::move(*line));
    to.close();
}

inline task<> work(queue<std::string>& from, queue<std::string>& to) {
    while (auto line = co_await from.next()) {
        co_await sleep(1ms);
        std::string answer = "done " + *line + "\n";
        co_await to.put(std::move(answer));
    }
    to.close();
}

inline task<> write_from(queue<std::string>& from, tcp_stream& to) {
    while (auto line = co_await from.next()) co_await to.write_all(*line);
    co_await to.shutdown_write();
}

inline task<> pipeline_server(tcp_stream& stream) {
    queue<std::string> asked(2);
    queue<std::string> answered(1);
    co_await gather(read_into(stream, asked), work(asked, answered), write_from(answered, stream));
}

inline task<> pipeline_client(tcp_stream& stream, verdict& v) {
    co_await gather(send_lines(stream, 4), [](tcp_stream& from, verdict& w) -> task<> {
        int next = 0;
        while (auto line = co_await from.read_line())
            w.expect(*line == "done line " + std::to_string(next++), "answers come in order");
        w.expect(next == 4, "every request is answered");
    }(stream, v));
}

inline task<> queue_pipeline(verdict& v) {
    auto both = co_await over_tcp::make();
    co_await gather(pipeline_client(both.writer, v), pipeline_server(both.reader));
}

// -- connecting -----------------------------------------------------------------------------------

inline task<> connect_refused(verdict& v) {
    endpoint where;
    {
        auto listener = tcp_listener::bind({"127.0.0.1", 0});
        where = listener.local();
    }
    co_await sleep(1ms);
    bool failed = false;
    try {
        auto stream = co_await connect_tcp(where);
    } catch (const std::system_error&) {
        failed = true;
    }
    v.expect(failed, "a connect without a listener fails");
}

inline task<> connect_with_timeout(verdict& v) {
    auto listener = tcp_listener::bind({"127.0.0.1", 0});
    testing::cut_off(listener.local());
    auto stream = co_await move_on_after(1s, connect_tcp(listener.local()));
    v.expect(!stream, "a host that is cut off is not reached");
    testing::restore(listener.local());
    co_await connect_only(listener.local());
}

inline task<int> connected_to(endpoint where, int which) {
    auto stream = co_await connect_tcp(where);
    co_return which;
}

inline task<> race_of_connects(verdict& v) {
    auto one = tcp_listener::bind({"127.0.0.1", 0});
    auto other = tcp_listener::bind({"127.0.0.2", 0});
    testing::cut_off(one.local());
    const int first = co_await race_success(connected_to(one.local(), 1),
                                          connected_to(other.local(), 2));
    v.expect(first == 2, "the answering host wins the race");
}

inline task<> race_of_two_good_connects(verdict& v) {
    auto one = tcp_listener::bind({"127.0.0.1", 0});
    auto other = tcp_listener::bind({"127.0.0.2", 0});
    const int first = co_await race_success(connected_to(one.local(), 1),
                                          connected_to(other.local(), 2));
    v.expect(first == 1 || first == 2, "one of two wins");
}

inline task<> listen_later(endpoint where, verdict& v) {
    co_await sleep(300ms);
    auto listener = tcp_listener::bind(where);
    auto stream = co_await listener.accept();
    const std::string got = co_await stream.read_all();
    v.expect(got.empty(), "nothing was sent");
}

inline task<> connect_until_somebody_listens(verdict& v) {
    const endpoint where("127.0.0.1", 4000);
    co_await gather(retry({.attempts = 8}, connect_only, where), listen_later(where, v));
}

// -- a network that fails -------------------------------------------------------------------------

inline task<> break_everything_after(duration delay) {
    co_await sleep(delay);
    testing::reset_connections();
}

inline task<> reset_in_the_middle(verdict& v) {
    auto both = co_await over_tcp::make();
    const std::string sent = letters(300'000);
    bool failed = false;
    try {
        co_await gather(send_and_end(both.writer, sent), receive_some(both.reader, sent, v),
                        break_everything_after(3ms));
    } catch (const std::system_error&) {
        failed = true;
    }
    v.expect(failed, "a connection that is reset fails");
}

inline task<> cut_for_a_while(endpoint part) {
    co_await sleep(2ms);
    testing::cut_off(part);
    co_await sleep(1min);
    testing::restore(part);
}

inline task<> cut_in_the_middle(verdict& v) {
    auto both = co_await over_tcp::make();
    const std::string sent = letters(8000);
    co_await gather(send_and_end(both.writer, sent), receive_some(both.reader, sent, v),
                    cut_for_a_while(both.reader.local()));
}

// -- datagrams ------------------------------------------------------------------------------------

inline task<> answer_datagrams(udp_socket& socket) {
    std::string buffer(100, '?');
    for (;;) {
        const datagram got = co_await socket.receive_from(buffer);
        const std::string answer = "re: " + std::string(got.text());
        co_await socket.send_to(answer, got.from);
    }
}

inline task<> ask_until_answered(endpoint where, verdict& v) {
    auto socket = udp_socket::open();
    std::string buffer(100, '?');
    for (int tries = 0; tries < 20; ++tries) {
        co_await socket.send_to("time?", where);
        auto got = co_await move_on_after(100ms, socket.receive_from(buffer));
        if (!got) continue;
        v.expect(got->text() == "re: time?", "the answer belongs to the question");
        co_return;
    }
    throw error("no answer in twenty tries");
}

inline task<> datagrams_with_loss(verdict& v) {
    testing::set_network({.lost_percent = 30, .duplicated_percent = 10, .reordered_percent = 10});
    auto server = udp_socket::bind({"127.0.0.1", 0});
    const endpoint where = server.local();
    auto body = [&](task_group& group) -> task<> {
        group.start(answer_datagrams(server));
        co_await ask_until_answered(where, v);
        group.cancel();
    };
    co_await with_task_group(body);
}

inline task<> datagrams_to_nobody(verdict& v) {
    endpoint where;
    {
        auto gone = udp_socket::bind({"127.0.0.1", 0});
        where = gone.local();
    }
    auto socket = udp_socket::open();
    co_await socket.connect(where);
    co_await socket.send("anybody?");
    std::string buffer(10, '?');
    bool failed = false;
    try {
        auto got = co_await move_on_after(1s, socket.receive_from(buffer));
        failed = !got;
    } catch (const std::system_error&) {
        failed = true;
    }
    v.expect(failed, "a datagram to a closed port gets no answer");
}

}  // namespace fault_sweep
