// SPDX-License-Identifier: MIT
// Scenarios of the fault sweep: proxies, whole files, user-defined streams, and tasks that read and
// write together: with moving deadlines, races, watches and shared futures.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "sweep/composition.hpp"

namespace fault_sweep {

// -- from stream to stream ------------------------------------------------------------------------

inline task<> pass_on(tcp_stream& from, tcp_stream& to) {
    co_await copy(from, to);
    co_await to.shutdown_write();
}

inline task<> through_a_proxy(verdict& v) {
    auto outside = co_await over_tcp::make();
    auto inside = co_await over_tcp::make();
    const std::string asked = letters(300);
    co_await gather(ask_and_half_close(outside.writer, asked, v),
                    pass_on(outside.reader, inside.writer), pass_on(inside.writer, outside.reader),
                    answer_at_the_end(inside.reader, asked, v));
}

/// Copies with a limit, and continues after the last byte.
inline task<> copy_piecewise(fd_stream& from, fd_stream& to) {
    for (;;) {
        const std::uint64_t count = co_await copy(from, to, {.limit = 700, .buffer_size = 300});
        if (count < 700) break;
    }
    co_await to.shutdown_write();
}

inline task<> copied_piecewise(verdict& v) {
    auto in = co_await over_pipe::make();
    auto out = co_await over_pipe::make();
    const std::string bytes = letters(1500);
    co_await gather(send_and_end(in.writer, bytes), copy_piecewise(in.reader, out.writer),
                    receive_some(out.reader, bytes, v));
}

/// A user-defined stream, which needs `buffered` for lines.
class slow_stream {
public:
    explicit slow_stream(tcp_stream inner) : inner_(std::move(inner)) {}
    task<chunk> read_some(buffer_view into) {
        co_await sleep(1ms);
        co_return co_await inner_.read_some(into.first(std::min<std::size_t>(into.size(), 40)));
    }

private:
    tcp_stream inner_;
};

inline task<> buffered_lines(verdict& v) {
    auto both = co_await over_tcp::make();
    buffered<slow_stream> from(slow_stream(std::move(both.reader)));
    co_await gather(dribble_lines(both.writer), receive_left_lines(from, v));
}

// -- files ----------------------------------------------------------------------------------------

inline task<> whole_files(verdict& v) {
    const std::string bytes = letters(1200);
    co_await write_file("whole", bytes);
    co_await append_to_file("whole", "end");
    const std::string got = co_await read_file("whole");
    v.expect(got == bytes + "end", "a file has the written and the appended bytes");
    const file_status status = co_await status_of("whole");
    v.expect(status.size == 1203, "its size is known");
    const bool other = co_await path_exists("nowhere");
    v.expect(!other, "a file that was not written does not exist");
    bool refused = false;
    try {
        const std::string most = co_await read_file("whole", 1202);
    } catch (const limit_error&) {
        refused = true;
    }
    v.expect(refused, "a file larger than the limit is refused");
}

inline task<> file_in_parts(verdict& v) {
    open_options options;
    options.create = options.exclusive = true;
    auto f = co_await file::open("parts", open_mode::read_write, options);
    co_await f.allocate(0, 600);
    co_await gather(f.write_all_at("head", 0), f.write_all_at("tail", 596));
    co_await f.sync_data();
    std::string head(4, '?');
    std::string rest(596, '?');
    const std::vector<buffer_view> parts = {head, rest};
    const std::size_t count = co_await f.read_parts_at(parts, 0);
    const std::size_t in_head = std::min<std::size_t>(count, 4);
    v.expect(head.substr(0, in_head) == std::string("head").substr(0, in_head),
             "parts are filled in order");
    co_await f.read_exactly_at(rest, 4);
    v.expect(rest == std::string(592, '\0') + "tail", "the gap has zeros");
    co_await f.close();
}

// -- deadlines ------------------------------------------------------------------------------------

/// Every line moves the deadline, so only a peer that is silent for too long is left.
inline task<> receive_while_lively(tcp_stream& from, verdict& v) {
    int next = 0;
    auto read = [&](timeout_scope& scope) -> task<> {
        while (auto line = co_await from.read_line()) {
            v.expect(*line == "line", "lines come whole");
            ++next;
            scope.reschedule(running_loop().time() + 2h);
        }
    };
    co_await with_timeout(2h, read);
    v.expect(next == 6, "all lines come before the end");
}

inline task<> deadline_that_moves(verdict& v) {
    auto both = co_await over_tcp::make();
    co_await gather(dribble_lines(both.writer), receive_while_lively(both.reader, v));
}

// -- the first, the latest, all -------------------------------------------------------------------

inline task<std::string> first_line(tcp_stream& from) {
    auto line = co_await from.read_line();
    if (!line) throw error("the stream has ended");
    co_return *line;
}

inline task<> say_after(tcp_stream& to, std::string line, duration delay) {
    co_await sleep(delay);
    co_await to.write_all(line, "\n");
}

/// The losing read of a race has taken no byte from its stream.
inline task<> read_two_by_race(tcp_stream& one, tcp_stream& other, verdict& v) {
    const std::string first = co_await race(first_line(one), first_line(other));
    v.expect(first == "one" || first == "other", "the winning line is whole");
    const std::string second = co_await first_line(first == "one" ? other : one);
    v.expect(second == (first == "one" ? "other" : "one"),
             "the line of the losing read is still there");
}

inline task<> race_of_reads(verdict& v) {
    auto one = co_await over_tcp::make();
    auto other = co_await over_tcp::make();
    co_await gather(say_after(one.writer, "one", 5ms), say_after(other.writer, "other", 5ms),
                    read_two_by_race(one.reader, other.reader, v));
}

/// Six lines, connections and jobs, often in one turn.
inline task<> send_six(tcp_stream& lines, endpoint door, queue<int>& jobs) {
    for (int i = 0; i < 6; ++i) {
        const bool stored = jobs.try_put(i);
        if (!stored) throw error("a queue without a limit is full");
        co_await lines.write_all(std::to_string(i), "\n");
        co_await connect_only(door);
        if (i % 2 == 1) co_await sleep(2ms);
    }
}

/// A loop of selects gets every line, connection and job once, in its order.
inline task<> select_in_a_loop(tcp_stream& lines, tcp_listener& door, queue<int>& jobs,
                               verdict& v) {
    interval every(10min);  // a fault delays for an hour
    int read = 0, accepted = 0, taken = 0;
    for (int round = 0; round < 500 && (read < 6 || accepted < 6 || taken < 6); ++round) {
        auto what = co_await select(lines.read_line(), door.accept(), every.tick(), jobs.next());
        if (what.index() == 0) {
            const auto& line = std::get<0>(what);
            v.expect(line && *line == std::to_string(read), "lines come whole and in order");
            ++read;
        }
        if (what.index() == 1) ++accepted;
        if (what.index() == 3)
            v.expect(*std::get<3>(what) == taken++, "jobs come once and in order");
    }
    v.expect(read == 6 && accepted == 6 && taken == 6, "a select loses nothing");
}

inline task<> loop_of_selects(verdict& v) {
    auto both = co_await over_tcp::make();
    auto door = tcp_listener::bind({"127.0.0.1", 0});
    queue<int> jobs;
    co_await gather(send_six(both.writer, door.local(), jobs),
                    select_in_a_loop(both.reader, door, jobs, v));
}

/// Merges the lines of two streams; the generators are left before their ends.
inline task<> take_six(merged<std::string>& from, verdict& v) {
    int taken = 0;
    for (; taken < 6; ++taken) {
        auto line = co_await from.next();
        if (!line) throw error("the streams have ended");
        v.expect(is_prefix("line ", *line), "lines come whole");
    }
}

inline task<> merged_lines(verdict& v) {
    auto one = co_await over_tcp::make();
    auto other = co_await over_tcp::make();
    auto take = [&](merged<std::string>& from) -> task<> { co_await take_six(from, v); };
    auto merging = with_merged(take, lines_from(one.reader), lines_from(other.reader));
    co_await gather(send_lines(one.writer, 4), send_lines(other.writer, 4), std::move(merging));
}

/// If a generator is left early, the rest stays in the stream.
inline task<> take_two_and_the_rest(tcp_stream& from, verdict& v) {
    {
        auto all = lines_from(from);
        for (int i = 0; i < 2; ++i) {
            auto line = co_await all.next();
            v.expect(!line || *line == "line " + std::to_string(i), "lines come in order");
        }
    }
    const std::string rest = co_await from.read_all();
    v.expect(rest == "line 2\nline 3\n",
             "bytes that a generator has not yielded stay in the stream");
}

inline task<> generator_left(verdict& v) {
    auto both = co_await over_tcp::make();
    co_await gather(send_lines(both.writer, 4), take_two_and_the_rest(both.reader, v));
}

inline task<> write_the_latest(watch<int>& from, std::string path) {
    std::uint64_t seen = 0;
    while (co_await from.changed(seen)) {
        const std::string value = std::to_string(from.get());
        co_await write_file(path, value);
    }
}

inline task<> count_up(watch<int>& to, int most) {
    for (int i = 1; i <= most; ++i) {
        to.set(i);
        co_await sleep(100us);
    }
    to.close();
}

inline task<> latest_written(verdict& v) {
    watch<int> value(0);
    co_await gather(write_the_latest(value, "latest"), count_up(value, 5));
    const std::string got = co_await read_file("latest");
    v.expect(got == "5", "the last value is never missed");
}

inline task<> done_one_by_one(verdict& v) {
    std::vector<future<int>> running;
    for (int i = 0; i < 3; ++i) running.push_back(create_task(tick(i)));
    int count = 0;
    auto done = as_completed(running);
    while (auto f = co_await done.next()) {
        v.expect(f->done(), "a completed future is done");
        ++count;
    }
    v.expect(count == 3, "each future comes once");
    for (int i = 0; i < 3; ++i) {
        const int value = co_await running[static_cast<std::size_t>(i)];
        v.expect(value == i, "a future gives its task's value");
    }
}

/// The first task that needs the file opens it; if that fails, the next one tries.
inline task<> opened_once(verdict& v) {
    co_await write_file("shared", "content");
    once opening;
    file opened;
    int opens = 0;
    auto open = [&]() -> task<> {
        opened = co_await file::open("shared");
        ++opens;
    };
    auto use = [&]() -> task<> {
        co_await opening.call(open);
        std::string got(7, '?');
        co_await opened.read_exactly_at(got, 0);
        v.expect(got == "content", "later tasks find the file open");
    };
    auto all = co_await gather_settled(use(), use(), use());
    v.expect(opens <= 1, "only one task opens the file");
    const auto fail = [](const auto&... each) { (static_cast<void>(each.value()), ...); };
    std::apply(fail, all);
}

inline task<std::string> content_after(duration delay) {
    co_await sleep(delay);
    co_await write_file("f", "shared");
    co_return co_await read_file("f");
}

/// Two tasks wait for one future; one leaves, and the other gets the value.
inline task<> shared_and_left(verdict& v) {
    future<std::string> shared = create_task(content_after(5ms));
    auto impatient = [](future<std::string> f) -> task<bool> {
        auto got = co_await move_on_after(1ms, shield(std::move(f)));
        co_return got.has_value();
    };
    auto patient = [](future<std::string> f) -> task<std::string> { co_return co_await f; };
    auto both = co_await gather(impatient(shared), patient(shared));
    v.expect(std::get<1>(both) == "shared", "the remaining waiter gets the value");
}

inline task<> first_of_three(verdict& v) {
    std::vector<duration> delays = {30ms, 10ms, 20ms};
    auto start = [](duration& delay) -> task<int> {
        co_await sleep(delay);
        co_return co_await tick(static_cast<int>(delay.count() / 10'000'000));
    };
    const int winner = co_await staggered_race(1ms, delays, start);
    v.expect(winner >= 1 && winner <= 3, "the winner is one of the runners");
    const std::string mark = co_await content_of("tick" + std::to_string(winner));
    v.expect(mark == "x", "the winner has done its work");
}

}  // namespace fault_sweep
