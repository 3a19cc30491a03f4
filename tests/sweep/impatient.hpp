// SPDX-License-Identifier: MIT
// Scenarios of the fault sweep: waits that are cancelled again and again, each time a little later,
// until they succeed. A result that comes during a cancellation goes to the next wait: no
// connection, byte, descriptor, item or permit is lost. The last scenario cleans up under a shield.
#pragma once

#include <vector>

#include "support/resolver_tools.hpp"
#include "sweep/composition.hpp"
#include "sweep/unix.hpp"

namespace fault_sweep {

/// Awaits `make()` with growing time limits until it succeeds; gives its value.
template <class F>
auto impatiently(duration limit, F make) -> task<detail::awaited_t<decltype(make())>> {
    for (;; limit *= 3) {
        auto got = co_await move_on_after(limit, make());
        if (got) co_return std::move(*got);
    }
}

// -- connections ----------------------------------------------------------------------------------

inline task<> say_a_number(endpoint where, int number) {
    auto stream = co_await connect_tcp(where);
    co_await stream.write_all(std::to_string(number));
    co_await stream.shutdown_write();
}

inline task<> accept_three_impatiently(tcp_listener& listener, verdict& v) {
    std::string said;
    auto accept = [&] { return listener.accept(); };
    for (int i = 0; i < 3; ++i) {
        auto stream = co_await impatiently(20us, accept);
        said += co_await stream.read_all();
    }
    std::sort(said.begin(), said.end());
    v.expect(said == "123", "each connection is accepted once");
}

inline task<> accepts_left(verdict& v) {
    auto listener = tcp_listener::bind({"127.0.0.1", 0});
    const endpoint where = listener.local();
    co_await gather(accept_three_impatiently(listener, v), say_a_number(where, 1),
                    say_a_number(where, 2), say_a_number(where, 3));
}

/// A cancelled connect may have succeeded all the same: then that connection ends without a byte.
/// If a fault hits the greeting, no further client connects.
inline task<> accept_until_greeted(tcp_listener& listener, verdict& v) {
    for (;;) {
        auto stream = co_await listener.accept();
        std::string got;
        try {
            got = co_await stream.read_all();
        } catch (const std::system_error&) {
            continue;
        }
        v.expect(is_prefix(got, "hello"), "the bytes read are the greeting");
        if (got == "hello") co_return;
    }
}

inline task<> connect_impatiently(endpoint where) {
    auto connect = [&] { return connect_tcp(where); };
    auto stream = co_await impatiently(20us, connect);
    co_await stream.write_all("hello");
    co_await stream.shutdown_write();
    co_await stream.read_all();
}

inline task<> connects_left(verdict& v) {
    auto listener = tcp_listener::bind({"127.0.0.1", 0});
    const endpoint where = listener.local();
    co_await gather(accept_until_greeted(listener, v), connect_impatiently(where));
}

inline task<> greet_by_name(std::uint16_t port) {
    auto connect = [&] { return connect_tcp("some.test", port, {.attempt_delay = 50us}); };
    auto stream = co_await impatiently(50us, connect);
    co_await stream.write_all("hello");
    co_await stream.shutdown_write();
}

inline task<> connects_by_name_left(verdict& v) {
    rondo_tests::made_up_names names;
    names.know("some.test", {{"127.0.0.1", 0}, {"127.0.0.2", 0}});
    names.use();
    auto listener = tcp_listener::bind({"127.0.0.2", 0});
    const std::uint16_t port = listener.local().port();
    co_await gather(accept_until_greeted(listener, v), greet_by_name(port));
}

// -- bytes and descriptors ------------------------------------------------------------------------

template <class S>
task<> read_everything_impatiently(S& from, const std::string& sent, verdict& v) {
    auto exactly = [&] { return from.read_exactly(50); };
    auto until = [&] { return from.read_until("|"); };
    auto seen = [&] { return from.peek(3); };
    auto all = [&] { return from.read_all(); };
    std::string got = co_await impatiently(1us, exactly);
    v.expect(is_prefix(got, sent), "a cancelled exact read loses nothing");
    got += co_await impatiently(1us, until);
    v.expect(is_prefix(got, sent), "a cancelled read_until loses nothing");
    const std::string start(co_await impatiently(1us, seen));
    v.expect(is_prefix(start, std::string_view(sent).substr(got.size())),
             "a cancelled peek loses nothing");
    got += co_await impatiently(1us, all);
    v.expect(got == sent, "all bytes are read before the end");
}

template <class S>
task<> send_in_pieces(S& to, const std::string& bytes, std::size_t piece) {
    const std::string_view all = bytes;
    for (std::size_t at = 0; at < all.size(); at += piece) {
        co_await to.write_all(all.substr(at, piece));
        co_await sleep(100us);
    }
    co_await to.shutdown_write();
}

template <class Over>
task<> all_reads_left(verdict& v) {
    auto both = co_await Over::make();
    const std::string bytes = letters(80) + "|" + letters(60);
    co_await gather(send_in_pieces(both.writer, bytes, 45),
                    read_everything_impatiently(both.reader, bytes, v));
}

template <class S>
task<> view_impatiently(S& from, const std::string& sent, verdict& v) {
    auto view = [&] { return from.read_view(); };
    std::string got;
    while (auto some = co_await impatiently(1us, view)) {
        got += some.text();
        v.expect(is_prefix(got, sent), "a cancelled view loses nothing");
    }
    v.expect(got == sent, "all bytes are viewed before the end");
}

template <class Over>
task<> views_left(verdict& v) {
    auto both = co_await Over::make();
    const std::string bytes = letters(90);
    co_await gather(send_in_pieces(both.writer, bytes, 30),
                    view_impatiently(both.reader, bytes, v));
}

inline task<> send_two_pipes(unix_stream& to) {
    for (int i = 0; i < 2; ++i) {
        pipe_ends made = make_pipe();
        co_await made.writer.write_all(std::to_string(i));
        const std::array numbers{made.reader.number()};
        co_await to.send_descriptors("p", numbers);
        co_await sleep(50us);
    }
    co_await to.shutdown_write();
}

inline task<> take_two_pipes(unix_stream& from, verdict& v) {
    std::string byte(1, '?');
    auto receive = [&] { return from.receive_descriptors(byte); };
    for (int i = 0; i < 2; ++i) {
        auto got = co_await impatiently(1us, receive);
        if (!got) throw error("the stream has ended");
        v.expect(got.descriptors.size() == 1,
                 "a descriptor comes with its byte, also after a cancelled wait");
        fd_stream pipe(std::move(got.descriptors.front()));
        const std::string text = co_await pipe.read_all();
        v.expect(text == std::to_string(i), "descriptors come in order");
    }
}

inline task<> descriptors_left(verdict& v) {
    auto both = co_await over_unix::make();
    co_await gather(send_two_pipes(both.writer), take_two_pipes(both.reader, v));
}

inline task<> files_opened_impatiently(verdict& v) {
    co_await sweep_write("f", "content");
    auto open = [] { return file::open("f"); };
    auto size = [](file& f) { return [&f] { return f.size(); }; };
    auto f = co_await impatiently(1us, open);
    const std::uint64_t bytes = co_await impatiently(1us, size(f));
    v.expect(bytes == 7, "a second request gives the same size");
    std::string got(7, '?');
    co_await f.read_exactly_at(got, 0);
    v.expect(got == "content", "a file that is opened again is the same");
}

// -- copies ---------------------------------------------------------------------------------------

/// If a write was cut by a cancellation, the next write reports it.
inline task<> copy_impatiently(fd_stream& from, fd_stream& to) {
    auto all = [&] { return copy(from, to, {.buffer_size = 40}); };
    co_await impatiently(1us, all);
    co_await to.shutdown_write();
}

inline task<> copies_left(verdict& v) {
    auto in = co_await over_pipe::make();
    auto out = co_await over_pipe::make();
    const std::string bytes = letters(90);
    co_await gather(send_in_pieces(in.writer, bytes, 45), copy_impatiently(in.reader, out.writer),
                    receive_some(out.reader, bytes, v));
}

/// Continues at the end of the file.
inline task<> receive_impatiently(fd_stream& from, file& to) {
    bool ended = false;
    for (duration limit = 1us; !ended; limit *= 3) {
        const std::uint64_t have = co_await to.size();
        const auto got = co_await move_on_after(limit, receive_file(from, to, have));
        ended = got.has_value();
    }
}

inline task<> receptions_left(verdict& v) {
    auto in = co_await over_pipe::make();
    auto to = co_await file::create("came");
    const std::string bytes = letters(90);
    co_await gather(send_in_pieces(in.writer, bytes, 45), receive_impatiently(in.reader, to));
    const std::string got = co_await read_file("came");
    v.expect(got == bytes, "the file has the sent bytes");
}

// -- items and permits ----------------------------------------------------------------------------

template <class Queue>
task<> produce_impatiently(Queue& to) {
    for (int i = 0; i < 4; ++i) {
        const int value = co_await tick(i);
        duration limit = 1us;
        auto put = [&]() -> task<> { co_await to.put(value); };
        while (!co_await move_on_after(limit, put())) limit *= 3;
    }
    to.close();
}

template <class Queue>
task<> consume_impatiently(Queue& from, verdict& v) {
    auto next = [&]() -> task<std::optional<int>> { co_return co_await from.next(); };
    int expected = 0;
    while (auto value = co_await impatiently(1us, next)) {
        v.expect(*value == expected++, "after cancelled waits no item is lost or comes twice");
        co_await sleep(300us);
    }
    v.expect(expected == 4, "every item comes");
}

template <class Queue>
task<> items_left(verdict& v) {
    Queue line(1);
    co_await gather(produce_impatiently(line), consume_impatiently(line, v));
}

inline task<> permits_left(verdict& v) {
    semaphore one(1);
    int inside = 0;
    auto acquire = [&] { return one.acquire(); };
    auto use = [&](int which) -> task<> {
        auto held = co_await impatiently(1us, acquire);
        v.expect(++inside == 1, "a permit has one holder");
        auto done = co_await gather_settled(tick(which));
        --inside;
        std::get<0>(done).value();
    };
    auto all = co_await gather_settled(use(1), use(2), use(3));
    v.expect(one.available() == 1, "no permit is lost");
    const auto fail = [](const auto&... each) { (static_cast<void>(each.value()), ...); };
    std::apply(fail, all);
}

// -- the way out ----------------------------------------------------------------------------------

/// A cancelled task still sends its whole goodbye, under a shield.
inline task<> read_and_say_goodbye(tcp_stream& stream) {
    bool asked = false;
    try {
        co_await read_forever(stream);
    } catch (const cancelled&) {
        asked = true;
    }
    auto leave = [&]() -> task<> {
        co_await stream.write_all("good", "bye");
        co_await stream.shutdown_write();
    };
    co_await with_shield(leave);
    if (asked) throw cancelled();
}

inline task<> goodbyes(verdict& v) {
    auto both = co_await over_tcp::make();
    const bool ended = co_await move_on_after(5ms, read_and_say_goodbye(both.writer));
    v.expect(!ended, "the reading task ends only by its cancellation");
    const std::string got = co_await both.reader.read_all();
    v.expect(got == "goodbye", "a write under a shield is whole");
}

}  // namespace fault_sweep
