// SPDX-License-Identifier: MIT
// Scenarios of the fault sweep: bytes over connections, pairs and pipes. Each is written once, for
// all streams that `make_ends` makes.
#pragma once

#include <sys/socket.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include <rondo/detail/loop/descriptor.hpp>

#include "sweep/fault_sweep.hpp"

namespace fault_sweep {

inline std::string letters(std::size_t size) {
    std::string text(size, ' ');
    for (std::size_t at = 0; at < size; ++at)
        text[at] = static_cast<char>('a' + (at * 7 + at / 26) % 26);
    return text;
}

inline bool is_prefix(std::string_view part, std::string_view whole) {
    return whole.substr(0, part.size()) == part;
}

// -- what two ends can be -------------------------------------------------------------------------

template <class Writer, class Reader>
struct ends {
    Writer writer;
    Reader reader;
    ends(Writer w, Reader r) : writer(std::move(w)), reader(std::move(r)) {}
};

inline task<tcp_stream> accept_one(tcp_listener& listener) {
    co_return co_await listener.accept();
}

/// A TCP connection: the client writes.
struct over_tcp {
    using both = ends<tcp_stream, tcp_stream>;
    static task<both> make() {
        auto listener = tcp_listener::bind({"127.0.0.1", 0});
        auto [client, server] =
            co_await gather(connect_tcp(listener.local()), accept_one(listener));
        co_return both(std::move(client), std::move(server));
    }
};

/// A pair of Unix sockets.
struct over_pair {
    using both = ends<fd_stream, fd_stream>;
    static task<both> make() {
        int number[2];
        const int error = detail::new_socket_pair(AF_UNIX, SOCK_STREAM, 0, number);
        if (error < 0) detail::throw_system_error(-error, "socketpair", "");
        descriptor one = descriptor::adopt(number[0], "one");
        descriptor other = descriptor::adopt(number[1], "other");
        co_return both(fd_stream(std::move(one)), fd_stream(std::move(other)));
    }
};

/// A pipe, one way.
struct over_pipe {
    using both = ends<fd_stream, fd_stream>;
    static task<both> make() {
        pipe_ends made = make_pipe();
        co_return both(std::move(made.writer), std::move(made.reader));
    }
};

// -- one way --------------------------------------------------------------------------------------

template <class S>
task<> send_and_end(S& to, const std::string& bytes) {
    co_await to.write_all(bytes);
    co_await to.shutdown_write();
}

/// Checks each piece as it is read, so also the bytes before an error.
template <class S>
task<> receive_some(S& from, const std::string& sent, verdict& v, std::size_t piece = 700) {
    std::string got;
    std::string buffer(piece, '?');
    while (auto chunk = co_await from.read_some(buffer)) {
        got += chunk.text();
        v.expect(is_prefix(got, sent), "the bytes read are the first sent ones");
    }
    v.expect(got == sent, "all bytes are read before the end");
}

template <class Over>
task<> transfer(verdict& v) {
    auto both = co_await Over::make();
    const std::string sent = letters(6000);
    co_await gather(send_and_end(both.writer, sent), receive_some(both.reader, sent, v));
}

template <class S>
task<> send_parts(S& to, const std::string& bytes) {
    const std::string_view all = bytes;
    co_await to.write_all(all.substr(0, 100), all.substr(100, 1), all.substr(101, 3000),
                          all.substr(3101));
    co_await to.shutdown_write();
}

template <class Over>
task<> gathered_write(verdict& v) {
    auto both = co_await Over::make();
    const std::string sent = letters(5000);
    co_await gather(send_parts(both.writer, sent), receive_some(both.reader, sent, v));
}

template <class S>
task<> send_lines(S& to, int count) {
    for (int i = 0; i < count; ++i) {
        const std::string number = std::to_string(i);
        co_await to.write_all("line ", number, "\n");
    }
    co_await to.shutdown_write();
}

template <class S>
task<> receive_lines(S& from, int count, verdict& v) {
    int next = 0;
    while (auto line = co_await from.read_line())
        v.expect(*line == "line " + std::to_string(next++), "lines come whole and in order");
    v.expect(next == count, "all lines come before the end");
}

template <class Over>
task<> lines(verdict& v) {
    auto both = co_await Over::make();
    co_await gather(send_lines(both.writer, 5), receive_lines(both.reader, 5, v));
}

template <class S>
task<> receive_views(S& from, const std::string& sent, verdict& v) {
    std::string got;
    while (auto view = co_await from.read_view()) {
        got += view.text();
        v.expect(is_prefix(got, sent), "the bytes viewed are the first sent ones");
    }
    v.expect(got == sent, "all bytes are viewed before the end");
}

template <class Over>
task<> views(verdict& v) {
    auto both = co_await Over::make();
    const std::string sent = letters(4000);
    co_await gather(send_and_end(both.writer, sent), receive_views(both.reader, sent, v));
}

/// Uses every kind of read in turn.
template <class S>
task<> receive_mixed(S& from, const std::string& sent, verdict& v) {
    std::string got;
    got += co_await from.read_exactly(10);
    const auto seen = co_await from.peek(5);
    v.expect(is_prefix(seen, std::string_view(sent).substr(10)), "a peek shows the next bytes");
    got += co_await from.read_until("z");
    auto view = co_await from.read_view();
    got += view.text();
    from.unread(view.text());
    got.resize(got.size() - view.size());
    got += co_await from.read_all();
    v.expect(got == sent, "mixed reads give all bytes in order");
}

template <class Over>
task<> mixed_reads(verdict& v) {
    auto both = co_await Over::make();
    const std::string sent = letters(1500);
    co_await gather(send_and_end(both.writer, sent), receive_mixed(both.reader, sent, v));
}

template <class S>
task<> receive_results(S& from, const std::string& sent, verdict& v) {
    std::string got;
    std::string buffer(900, '?');
    for (;;) {
        auto chunk = co_await as_result(from.read_some(buffer));
        if (!chunk) throw std::system_error(chunk.error(), "the read says");
        if (!*chunk) break;
        got += chunk->text();
        v.expect(is_prefix(got, sent), "the bytes read are the first sent ones");
    }
    v.expect(got == sent, "all bytes are read before the end");
}

template <class Over>
task<> result_reads(verdict& v) {
    auto both = co_await Over::make();
    const std::string sent = letters(3000);
    co_await gather(send_and_end(both.writer, sent), receive_results(both.reader, sent, v));
}

/// Writes more slowly than the reader's time limits.
template <class S>
task<> dribble(S& to, const std::string& bytes) {
    for (std::size_t at = 0; at < bytes.size(); at += 4) {
        co_await to.write_all(std::string_view(bytes).substr(at, 4));
        co_await sleep(15ms);
    }
    co_await to.shutdown_write();
}

template <class S>
task<> receive_impatiently(S& from, const std::string& sent, verdict& v) {
    std::string got;
    std::string buffer(10, '?');
    duration patience_left = 4ms;
    for (;;) {
        auto chunk = co_await move_on_after(patience_left, from.read_some(buffer));
        patience_left *= 2;
        if (!chunk) continue;
        if (!*chunk) break;
        patience_left = 4ms;
        got += chunk->text();
        v.expect(is_prefix(got, sent), "a cancelled read loses nothing");
    }
    v.expect(got == sent, "all bytes are read before the end");
}

template <class Over>
task<> impatient_reads(verdict& v) {
    auto both = co_await Over::make();
    const std::string sent = letters(16);
    co_await gather(dribble(both.writer, sent), receive_impatiently(both.reader, sent, v));
}

/// Reads slow lines with reads that are cancelled again and again.
template <class S>
task<> dribble_lines(S& to) {
    for (int i = 0; i < 6; ++i) {
        co_await to.write_all("li");
        co_await sleep(7ms);
        co_await to.write_all("ne\n");
    }
    co_await to.shutdown_write();
}

template <class S>
task<> receive_left_lines(S& from, verdict& v) {
    int lines = 0;
    duration patience_left = 3ms;
    for (;;) {
        auto line = co_await move_on_after(patience_left, from.read_line());
        patience_left *= 2;
        if (!line) continue;
        if (!*line) break;
        patience_left = 3ms;
        v.expect(**line == "line", "a cancelled read_line loses nothing");
        ++lines;
    }
    v.expect(lines == 6, "all lines come before the end");
}

template <class Over>
task<> left_lines(verdict& v) {
    auto both = co_await Over::make();
    co_await gather(dribble_lines(both.writer), receive_left_lines(both.reader, v));
}

template <class S>
task<> read_forever(S& from) {
    std::string buffer(100, '?');
    while (co_await from.read_some(buffer)) {
    }
}

template <class S>
task<> close_after(S& stream, duration delay) {
    co_await sleep(delay);
    co_await stream.close();
}

/// A pending read fails with ECANCELED when its stream is closed.
template <class Over>
task<> closed_under_a_read(verdict& v) {
    auto both = co_await Over::make();
    bool failed = false;
    try {
        co_await gather(read_forever(both.reader), close_after(both.reader, 5ms));
    } catch (const std::system_error& e) {
        failed = true;
    }
    v.expect(failed, "a read on a closed stream fails");
}

/// Writes more than the buffers hold, so the writer waits; then the reader leaves.
template <class Over>
task<> reader_leaves(verdict& v) {
    auto both = co_await Over::make();
    const std::string much = letters(400'000);
    bool failed = false;
    try {
        co_await gather(send_and_end(both.writer, much), close_after(both.reader, 20ms));
    } catch (const std::system_error&) {
        failed = true;
    }
    // TCP may accept all bytes before it learns that the reader has left.
    v.expect(failed || std::is_same_v<Over, over_tcp>, "writing without a reader fails");
}

// -- both ways ------------------------------------------------------------------------------------

template <class S>
task<> echo_until_end(S& stream) {
    std::string buffer(512, '?');
    while (auto chunk = co_await stream.read_some(buffer)) co_await stream.write_all(chunk.text());
    co_await stream.shutdown_write();
}

template <class S>
task<> ask_thrice(S& stream, verdict& v) {
    for (int i = 0; i < 3; ++i) {
        const std::string asked = "message " + std::to_string(i);
        co_await stream.write_all(asked);
        const std::string answer = co_await stream.read_exactly(asked.size());
        v.expect(answer == asked, "the answer is what was sent");
    }
    co_await stream.shutdown_write();
    const std::string rest = co_await stream.read_all();
    v.expect(rest.empty(), "no other bytes come back");
}

template <class Over>
task<> echo(verdict& v) {
    auto both = co_await Over::make();
    co_await gather(ask_thrice(both.writer, v), echo_until_end(both.reader));
}

template <class S>
task<> answer_at_the_end(S& stream, const std::string& asked, verdict& v) {
    const std::string got = co_await stream.read_all();
    v.expect(got == asked, "all bytes are read before the answer");
    co_await stream.write_all("answer");
    co_await stream.shutdown_write();
}

template <class S>
task<> ask_and_half_close(S& stream, const std::string& asked, verdict& v) {
    co_await stream.write_all(asked);
    co_await stream.shutdown_write();
    const std::string got = co_await stream.read_all();
    v.expect(got == "answer", "after shutdown_write the answer comes");
}

template <class Over>
task<> half_close(verdict& v) {
    auto both = co_await Over::make();
    const std::string asked = letters(2000);
    co_await gather(ask_and_half_close(both.writer, asked, v),
                    answer_at_the_end(both.reader, asked, v));
}

/// Two tasks use one stream, one for each direction; the other side echoes.
template <class Over>
task<> split_halves(verdict& v) {
    auto both = co_await Over::make();
    auto halves = split(std::move(both.writer));
    const std::string sent = letters(3000);
    co_await gather(send_and_end(halves.second, sent), receive_some(halves.first, sent, v),
                    echo_until_end(both.reader));
}

}  // namespace fault_sweep
