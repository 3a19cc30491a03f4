// SPDX-License-Identifier: MIT
// The leaves of a random program: streams, files, queues, datagrams and waits. Each returns a text
// that does not depend on time.
#pragma once

#include <unistd.h>

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <rondo/rondo.hpp>

#include "sweep/random_program.hpp"

namespace random_program {

using namespace rondo;
using namespace std::chrono_literals;

inline std::string short_of(const std::string& bytes) {
    std::uint64_t sum = 14695981039346656037u;
    for (const char each : bytes) sum = (sum ^ static_cast<unsigned char>(each)) * 1099511628211u;
    return std::to_string(bytes.size()) + ":" + std::to_string(sum % 100'000);
}

inline std::string number_of(const std::system_error& e) {
    return "E" + std::to_string(e.code().value());
}

// -- ends of streams ------------------------------------------------------------------------------

/// Two ends, of whichever kind.
struct ends {
    std::unique_ptr<byte_stream, void (*)(byte_stream*)> writer;
    std::unique_ptr<byte_stream, void (*)(byte_stream*)> reader;

    template <class W, class R>
    ends(W w, R r)
        : writer(new W(std::move(w)), [](byte_stream* s) { delete static_cast<W*>(s); }),
          reader(new R(std::move(r)), [](byte_stream* s) { delete static_cast<R*>(s); }) {}
};

inline endpoint name_of(const part& one) {
    return endpoint::unix_abstract("rondo-programs-" + std::to_string(::getpid()) + "-" +
                                   std::to_string(one.id));
}

inline task<tcp_stream> accept_one(tcp_listener& from) { co_return co_await from.accept(); }
inline task<unix_stream> accept_one(unix_listener& from) { co_return co_await from.accept(); }

inline task<ends> make_ends(const part& one, unsigned which) {
    switch (which % 4) {
        case 0: {
            auto pipe = make_pipe();
            co_return ends(std::move(pipe.writer), std::move(pipe.reader));
        }
        case 1: {
            auto [left, right] = socket_pair();
            co_return ends(std::move(left), std::move(right));
        }
        case 2: {
            auto listener = tcp_listener::bind({"127.0.0.1", 0});
            auto [left, right] =
                co_await gather(connect_tcp(listener.local()), accept_one(listener));
            co_return ends(std::move(left), std::move(right));
        }
        default: {
            auto listener = unix_listener::bind(name_of(one));
            auto [left, right] =
                co_await gather(connect_unix(name_of(one)), accept_one(listener));
            co_return ends(std::move(left), std::move(right));
        }
    }
}

// -- leaves ---------------------------------------------------------------------------------------

inline task<std::string> send_pieces(byte_stream& to, const std::string& bytes, std::size_t piece,
                              bool slowly) {
    for (std::size_t at = 0; at < bytes.size(); at += piece) {
        co_await to.write_all(std::string_view(bytes).substr(at, piece));
        if (slowly) co_await yield_now();
    }
    co_await to.close();
    co_return "";
}

inline task<std::string> receive_by_views(byte_stream& from) {
    std::string got;
    while (auto view = co_await from.read_view()) got += view.text();
    co_return got;
}

inline task<std::string> receive_by_lines(byte_stream& from) {
    std::string got;
    try {
        for (;;) got += co_await from.read_until("z");
    } catch (const incomplete_read_error& end) {
        got += end.bytes();
    }
    co_return got;
}

inline task<std::string> receive_mixed(byte_stream& from, std::size_t piece) {
    std::string got;
    std::string buffer(piece, '\0');
    while (auto some = co_await from.read_some(buffer)) {
        got += some.text();
        const auto next = co_await from.peek(1);
        if (next.empty()) break;
        auto view = co_await from.read_view();
        got += view.text();
    }
    co_return got;
}

inline task<std::string> receive(byte_stream& from, const part& one) {
    switch (one.c % 4) {
        case 0: return from.read_all();
        case 1: return receive_by_views(from);
        case 2: return receive_by_lines(from);
        default: return receive_mixed(from, 1 + one.b % 3000);
    }
}

inline task<std::string> use_stream(const part& one) {
    auto both = co_await make_ends(one, one.b);
    const std::size_t size = one.a % 7 == 0 ? one.a % 300'000 : one.a % 3000;
    const std::string bytes = bytes_of(one, size);
    const std::size_t piece = 1 + one.c % 70'000 % (size / 4 + 2);
    auto all = co_await gather(send_pieces(*both.writer, bytes, piece, one.b % 3 == 0),
                               receive(*both.reader, one));
    co_return std::get<1>(all) == bytes ? short_of(bytes) : "other bytes";
}

inline task<std::string> read_once(byte_stream& from) {
    std::string buffer(100, '\0');
    auto some = co_await from.read_some(buffer);
    co_return std::string(some.text());
}

inline task<std::string> read_a_line(byte_stream& from) {
    auto line = co_await from.read_line();
    co_return line.value_or("end");
}

/// A read that waits, in one of several forms. Every one leaves the bytes that it has not returned.
inline task<std::string> waiting_read(byte_stream& from, const part& one) {
    switch (one.c % 3) {
        case 0: return read_once(from);
        case 1: return read_a_line(from);
        default: return from.read_exactly(6);
    }
}

inline task<std::string> nothing_is_lost(ends& both) {
    co_await both.writer->write_all("after\n");
    const auto line = co_await both.reader->read_line();
    co_return line.value_or("nothing");
}

inline task<std::string> time_out(const part& one) {
    auto both = co_await make_ends(one, one.b);
    const auto none = co_await move_on_after(100us, waiting_read(*both.reader, one));
    std::string text = none ? "came early " : "timed out, ";
    text += co_await nothing_is_lost(both);
    co_return text;
}

inline task<std::string> cancel_one(const part& one) {
    auto both = co_await make_ends(one, one.b);
    std::string text;
    const auto body = [&](task_group& group) -> task<> {
        auto child = group.start(waiting_read(*both.reader, one));
        if (one.a % 3 != 0) co_await sleep(duration(one.a % 50'000));
        child.cancel();
        try {
            co_await child;
            text = "came early ";
        } catch (const future_cancelled&) {
            text = "cancelled, ";
        }
    };
    co_await with_task_group(body);
    text += co_await nothing_is_lost(both);
    co_return text;
}

inline task<std::string> write_late(byte_stream& to, duration delay) {
    co_await sleep(delay);
    co_await to.write_all("late\n");
    co_return "wrote ";
}

inline task<std::string> read_late(const part& one) {
    auto both = co_await make_ends(one, one.b);
    auto all = co_await gather(read_a_line(*both.reader),
                               write_late(*both.writer, duration(one.a % 100'000)));
    co_return std::get<1>(all) + std::get<0>(all);
}

/// Not over TCP: there the first write may succeed.
inline task<std::string> write_to_nobody(const part& one) {
    constexpr std::array<unsigned, 3> kinds{0, 1, 3};
    auto both = co_await make_ends(one, kinds[one.b % 3]);
    co_await both.reader->close();
    try {
        co_await both.writer->write_all("bytes");
        co_return "written";
    } catch (const std::system_error& e) {
        co_return number_of(e);
    }
}

inline task<std::string> connect_to_nobody(const part& one) {
    try {
        if (one.a % 2 == 0) {
            auto stream = co_await connect_unix(name_of(one));
        } else {
            auto stream = co_await connect_unix("/nowhere/at/all");
        }
        co_return "connected";
    } catch (const std::system_error& e) {
        co_return number_of(e);
    }
}

inline task<std::string> answer(tcp_listener& listener) {
    auto stream = co_await listener.accept();
    co_await stream.write_all("welcome\n");
    co_return "accepted ";
}

inline task<std::string> call(endpoint where) {
    auto stream = co_await connect_tcp(where);
    const auto line = co_await stream.read_line();
    co_return line.value_or("nothing");
}

inline task<std::string> leave_an_accept(const part& one) {
    auto listener = tcp_listener::bind({"127.0.0.1", 0});
    const auto none = co_await move_on_after(duration(one.a % 100'000), answer(listener));
    auto all = co_await gather(answer(listener), call(listener.local()));
    co_return (none ? "early " : "left, ") + std::get<0>(all) + std::get<1>(all);
}

inline task<std::string> use_file(const part& one, std::string path) {
    const std::string bytes = bytes_of(one, one.a % 20'000);
    auto out = co_await file::create(path);
    co_await out.write_all(bytes);
    const std::size_t cut = one.b % 20'000;
    if (one.c % 2 == 0) co_await out.truncate(cut);
    co_await out.close();
    auto in = co_await file::open(path, one.c % 3 == 0 ? open_mode::append : open_mode::read);
    std::string text;
    if (one.c % 3 == 0) {
        co_await in.write_all("end");
        co_await in.close();
        in = co_await file::open(path);
    }
    const std::uint64_t size = co_await in.size();
    std::string buffer(500, '\0');
    std::string piece;  // reads of the simulator are short now and then
    while (auto some = co_await in.read_at(buffer, one.b % 10'000 + piece.size())) {
        piece += some.text();
        if (piece.size() >= 2000) break;
    }
    piece.resize(std::min<std::size_t>(piece.size(), 2000));
    text = std::to_string(size) + " " + short_of(piece) + " ";
    std::string all;
    while (auto some = co_await in.read_some(buffer)) all += some.text();
    co_return text + short_of(all);
}

inline task<std::string> errno_of(task<> inner) {
    try {
        co_await std::move(inner);
        co_return "ok ";
    } catch (const std::system_error& e) {
        co_return number_of(e) + " ";
    }
}

inline task<std::string> use_folder(std::string path) {
    std::string text;
    text += co_await errno_of(make_directory(path));
    text += co_await errno_of(make_directory(path));
    text += co_await errno_of(write_file(path + "/one", "1"));
    text += co_await errno_of(rename_path(path + "/one", path + "/two"));
    text += co_await errno_of(rename_path(path + "/one", path + "/three"));
    text += co_await errno_of(make_link(path + "/two", path + "/four"));
    text += co_await errno_of(make_symbolic_link("four", path + "/five"));
    text += co_await errno_of(remove_directory(path));
    text += co_await errno_of(remove_file(path + "/two"));
    const std::string got = co_await read_file(path + "/five");
    const auto names = co_await list_directory(path);
    const std::uint64_t removed = co_await remove_tree(path);
    text += got + " " + std::to_string(names.size()) + " " + std::to_string(removed);
    co_return text;
}

inline task<std::string> produce(queue<int>& to, int count, bool ends) {
    for (int i = 1; i <= count; ++i) co_await to.put(i);
    if (ends) to.close();
    co_return "";
}

inline task<std::string> consume(queue<int>& from) {
    long sum = 0;
    while (auto item = co_await from.next()) sum = sum * 31 % 1'000'003 + *item;
    co_return std::to_string(sum);
}

inline task<std::string> use_queue(const part& one) {
    queue<int> items(1 + one.b % 5);
    auto all = co_await gather(consume(items), produce(items, static_cast<int>(one.a % 50), true));
    co_return std::get<0>(all);
}

inline task<std::string> send_datagram(const part& one) {
    auto from = udp_socket::bind({"127.0.0.1", 0});
    auto to = udp_socket::bind({"127.0.0.1", 0});
    std::string buffer(2000, '\0');
    const auto none = co_await move_on_after(duration(one.b % 50'000), to.receive_from(buffer));
    const std::string bytes = bytes_of(one, one.a % 1500);
    co_await from.send_to(bytes, to.local());
    const auto got = co_await to.receive_from(buffer);
    const bool right = got.from == from.local() && got.data.text() == bytes;
    co_return (none ? "early " : "") + (right ? short_of(bytes) : std::string("other bytes"));
}

inline task<std::string> wait_and_read(byte_stream& from, int number) {
    co_await wait_readable(number);
    const auto line = co_await from.read_line();
    co_return line.value_or("nothing");
}

inline task<std::string> await_number(const part& one) {
    auto pipe = make_pipe();
    auto all = co_await gather(wait_and_read(pipe.reader, pipe.reader.number()),
                               write_late(pipe.writer, duration(one.a % 100'000)));
    co_return std::get<1>(all) + std::get<0>(all);
}

inline task<std::string> add_under_lock(mutex& m, int& value, duration pause) {
    for (int i = 0; i < 3; ++i) {
        auto guard = co_await m.lock();
        const int before = value;
        if (pause > duration::zero()) co_await sleep(pause);
        value = before + 1;
    }
    co_return "";
}

inline task<std::string> use_lock(const part& one) {
    mutex m;
    int value = 0;
    std::vector<task<std::string>> all;
    for (unsigned i = 0; i < 1 + one.a % 4; ++i)
        all.push_back(add_under_lock(m, value, duration(one.b % 5'000 * i)));
    co_await gather(std::move(all));
    co_return std::to_string(value);
}

inline task<std::string> pause_for(const part& one) {
    co_await sleep(duration(one.a % 100'000));
    co_return "paused";
}

inline task<std::string> the_value(const part& one) { co_return std::to_string(one.a); }

}  // namespace random_program
