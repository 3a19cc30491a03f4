// SPDX-License-Identifier: MIT
// Scenarios of the fault sweep that combine reads and writes: copies, whole files, readiness,
// generators, broadcasts, deadlines, groups.
#pragma once

#include <vector>

#include "sweep/files.hpp"
#include "sweep/network.hpp"

namespace fault_sweep {

// -- from one place to another --------------------------------------------------------------------

inline task<> copy_and_end(fd_stream& from, tcp_stream& to) {
    const std::uint64_t count = co_await copy(from, to, {.buffer_size = 900});
    co_await to.shutdown_write();
    if (count != 3000) throw error("the copy has another size");
}

inline task<> streams_copied(verdict& v) {
    auto in = co_await over_pipe::make();
    auto out = co_await over_tcp::make();
    const std::string bytes = letters(3000);
    co_await gather(send_and_end(in.writer, bytes), copy_and_end(in.reader, out.writer),
                    receive_some(out.reader, bytes, v));
}

inline task<> receive_all_into(std::string path, tcp_stream& from, verdict& v) {
    auto to = co_await file::create(path);
    const std::uint64_t count = co_await receive_file(from, to);
    v.expect(count <= 5000, "no more is received than was sent");
    co_await to.close();
}

inline task<> received_into_a_file(verdict& v) {
    auto both = co_await over_tcp::make();
    const std::string bytes = letters(5000);
    co_await gather(send_and_end(both.writer, bytes), receive_all_into("came", both.reader, v));
    const std::string got = co_await content_of("came");
    v.expect(got == bytes, "the file has the sent bytes");
}

inline task<> send_part(std::string path, tcp_stream& to) {
    auto from = co_await file::open(path);
    const std::uint64_t count = co_await rondo::send_file(from, to, 1000, 1500);
    if (count != 1500) throw error("the file is too short");
    co_await to.shutdown_write();
}

inline task<> part_of_a_file_sent(verdict& v) {
    const std::string bytes = letters(3000);
    co_await sweep_write("whole", bytes);
    auto both = co_await over_tcp::make();
    const std::string part = bytes.substr(1000, 1500);
    co_await gather(send_part("whole", both.writer), receive_some(both.reader, part, v));
}

inline task<> file_cut_and_grown(verdict& v) {
    co_await sweep_write("f", letters(1000));
    auto f = co_await file::open("f", open_mode::read_write);
    co_await f.truncate(500);
    co_await f.write_all_at("end", 500);
    const std::uint64_t size = co_await f.size();
    v.expect(size == 503, "the size is where the last write ended");
    std::string got(503, '?');
    co_await f.read_exactly_at(got, 0);
    v.expect(got == letters(1000).substr(0, 500) + "end", "the truncated bytes are gone");
}

inline task<> fill_memory(memory_stream& to, const std::string& bytes) {
    co_await to.write_all(bytes);
    co_await sweep_write("written", "x");
    co_await to.shutdown_write();
}

inline task<> through_memory(verdict& v) {
    auto [one, other] = memory_stream::pair({.capacity = 300});
    const std::string bytes = letters(2000);
    co_await gather(fill_memory(one, bytes), receive_some(other, bytes, v));
}

// -- a part of a stream ---------------------------------------------------------------------------

template <class Over>
task<> limits_of_reads(verdict& v) {
    auto both = co_await Over::make();
    const std::string bytes = letters(300) + "|rest";
    auto read = [](auto& from, verdict& w, const std::string& sent) -> task<> {
        try {
            co_await from.read_until("|", 100);
            w.expect(false, "a limit holds");
        } catch (const limit_error&) {
        }
        const std::string start(co_await from.peek(10));
        w.expect(is_prefix(start, sent), "after a limit_error all bytes are still there");
        const std::string piece = co_await from.read_until("|");
        w.expect(piece.substr(0, 300) == sent.substr(0, 300), "a read ends at the separator");
        try {
            co_await from.read_exactly(10);
            w.expect(false, "a stream of less than ten bytes ends first");
        } catch (const incomplete_read_error& e) {
            w.expect(is_prefix(e.bytes(), "rest"), "the error has the bytes that came");
            if (e.bytes() != "rest") throw;
        }
    };
    co_await gather(send_and_end(both.writer, bytes), read(both.reader, v, bytes));
}

// -- readiness ------------------------------------------------------------------------------------

inline task<> write_after(fd_stream& to, duration delay) {
    co_await sleep(delay);
    co_await to.write_all("now");
    co_await to.shutdown_write();
}

inline task<> read_when_ready(fd_stream& from, verdict& v) {
    co_await wait_readable(from.number());
    const std::string got = co_await from.read_all();
    v.expect(got == "now", "the awaited bytes are there");
}

inline task<> waited_until_readable(verdict& v) {
    auto both = co_await over_pipe::make();
    co_await wait_writable(both.writer.number());
    co_await gather(write_after(both.writer, 5ms), read_when_ready(both.reader, v));
}

// -- several at once ------------------------------------------------------------------------------

inline async_generator<std::string> lines_from(tcp_stream& from) {
    while (auto line = co_await from.read_line()) co_yield std::move(*line);
}

inline task<> count_lines(tcp_stream& from, verdict& v) {
    int next = 0;
    auto all = lines_from(from);
    while (auto line = co_await all.next())
        v.expect(*line == "line " + std::to_string(next++), "lines come in order");
    v.expect(next == 3, "every line comes");
}

inline task<> generated_lines(verdict& v) {
    auto both = co_await over_tcp::make();
    co_await gather(send_lines(both.writer, 3), count_lines(both.reader, v));
}

inline task<> write_what_comes(broadcast<int>::subscriber from, std::string path) {
    auto to = co_await file::create(path);
    while (auto item = co_await from.next()) co_await to.write_all(std::to_string(*item));
    co_await to.close();
}

inline task<> send_five(broadcast<int>& to) {
    for (int i = 1; i <= 5; ++i) {
        to.send(i);
        co_await sleep(1ms);
    }
    to.close();
}

inline task<> broadcast_to_writers(verdict& v) {
    broadcast<int> all(8);
    co_await gather(write_what_comes(all.subscribe(), "one"),
                    write_what_comes(all.subscribe(), "other"), send_five(all));
    const std::string one = co_await content_of("one");
    const std::string other = co_await content_of("other");
    v.expect(one == "12345" && other == "12345", "both have all bytes");
}

inline task<> one_with_permit(semaphore& two, int& inside, endpoint where, verdict& v) {
    auto held = co_await two.acquire();
    v.expect(++inside <= 2, "no more than two are inside");
    try {
        co_await ask_once(where, v);
    } catch (...) {
        --inside;
        throw;
    }
    --inside;
}

inline task<> few_connections_at_once(verdict& v) {
    auto listener = tcp_listener::bind({"127.0.0.1", 0});
    const endpoint where = listener.local();
    semaphore two(2);
    int inside = 0;
    std::vector<task<>> all;
    for (int i = 0; i < 4; ++i) all.push_back(one_with_permit(two, inside, where, v));
    auto asking = [](std::vector<task<>> asks) -> task<> { co_await gather(std::move(asks)); };
    co_await beside_server(std::move(listener), echo_connection, asking(std::move(all)));
    v.expect(inside == 0, "all have left");
}

inline task<> fail_after(duration delay) {
    co_await sleep(delay);
    throw error("meant to fail");
}

inline task<> child_that_fails(verdict& v) {
    auto both = co_await over_tcp::make();
    bool failed = false;
    auto body = [&](task_group& group) -> task<> {
        group.start(read_forever(both.reader));
        group.start(fail_after(5ms));
        co_await both.writer.write_all("to nobody in particular");
        co_await sleep(1h);
    };
    try {
        co_await with_task_group(body);
    } catch (const std::exception&) {
        failed = true;
    }
    v.expect(failed, "a child's error ends its group");
}

/// The deadline comes in the middle of a read, which loses no byte.
inline task<> read_under_deadline(tcp_stream& from, const std::string& sent, verdict& v) {
    const auto early = co_await move_on_after(5ms, from.read_exactly(sent.size()));
    v.expect(!early, "half of the bytes do not complete the read");
    const std::string got = co_await from.read_exactly(sent.size());
    v.expect(got == sent, "bytes that came before the deadline are read after it");
}

inline task<> send_halves(tcp_stream& to, const std::string& bytes) {
    co_await to.write_all(bytes.substr(0, bytes.size() / 2));
    co_await sleep(20ms);
    co_await to.write_all(bytes.substr(bytes.size() / 2));
    co_await to.shutdown_write();
}

inline task<> deadline_in_a_read(verdict& v) {
    auto both = co_await over_tcp::make();
    const std::string bytes = letters(800);
    co_await gather(send_halves(both.writer, bytes), read_under_deadline(both.reader, bytes, v));
}

inline task<> ask_connected(udp_socket& socket, verdict& v) {
    std::string buffer(100, '?');
    for (int tries = 0; tries < 20; ++tries) {
        co_await socket.send("time?");
        auto got = co_await move_on_after(100ms, socket.receive_from(buffer));
        if (!got) continue;
        v.expect(got->text() == "re: time?", "the answer belongs to the question");
        co_return;
    }
    throw error("no answer in twenty tries");
}

inline task<> datagrams_connected(verdict& v) {
    auto server = udp_socket::bind({"127.0.0.1", 0});
    auto client = udp_socket::open();
    const endpoint where = server.local();
    co_await client.connect(where);
    auto body = [&](task_group& group) -> task<> {
        group.start(answer_datagrams(server));
        co_await ask_connected(client, v);
        group.cancel();
    };
    co_await with_task_group(body);
}

}  // namespace fault_sweep
