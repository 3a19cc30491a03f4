// SPDX-License-Identifier: MIT
// Scenarios of the fault sweep: Unix sockets with names, and descriptors that are sent.
#pragma once

#include <unistd.h>

#include <array>
#include <string>

#include "sweep/streams.hpp"

namespace fault_sweep {

/// Of this process: tests of several builds run at once.
inline endpoint sweep_name() {
    return endpoint::unix_abstract("rondo-sweep-" + std::to_string(::getpid()));
}

inline task<unix_stream> accept_unix(unix_listener& listener) {
    co_return co_await listener.accept();
}

/// A connection through an abstract name; the client writes.
struct over_unix {
    using both = ends<unix_stream, unix_stream>;
    static task<both> make() {
        auto listener = unix_listener::bind(sweep_name());
        auto [client, server] = co_await gather(connect_unix(sweep_name()), accept_unix(listener));
        co_return both(std::move(client), std::move(server));
    }
};

inline task<> ask_unix(verdict& v) {
    auto stream = co_await connect_unix(sweep_name());
    co_await stream.write_all("question");
    co_await stream.shutdown_write();
    const std::string answer = co_await stream.read_all();
    v.expect(is_prefix(answer, "question"), "the answer is what was sent");
    if (answer != "question") throw error("the connection ended too early");
}

inline task<> ask_unix_twice(verdict& v) { co_await gather(ask_unix(v), ask_unix(v)); }

inline task<> echo_unix_connection(unix_stream stream) { co_await echo_until_end(stream); }

inline task<> serve_unix(verdict& v) {
    auto listener = unix_listener::bind(sweep_name());
    auto body = [&](task_group& group) -> task<> {
        group.start(serve(std::move(listener), echo_unix_connection));
        co_await ask_unix_twice(v);
        group.cancel();
    };
    co_await with_task_group(body);
}

/// A listener takes the name of one that has gone.
inline task<> unix_name_taken_over(verdict& v) {
    const std::string path = "./rondo-sweep";
    unix_listen_options options;
    options.permissions = 0600;
    options.remove_at_close = false;
    {
        auto gone = unix_listener::bind(path, options);
        co_await gone.close();
    }
    options.replace_stale = true;
    options.remove_at_close = true;
    auto listener = unix_listener::bind(path, options);
    auto [client, server] = co_await gather(connect_unix(path), accept_unix(listener));
    co_await client.write_all("word\n");
    const auto line = co_await server.read_line();
    v.expect(!line || *line == "word", "the line is what was sent");
}

inline task<> unix_nobody_listens(verdict& v) {
    { auto gone = unix_listener::bind(sweep_name()); }
    bool failed = false;
    try {
        auto stream = co_await connect_unix(sweep_name());
    } catch (const std::system_error&) {
        failed = true;
    }
    v.expect(failed, "a connect without a listener fails");
}

inline task<> accept_unix_without_end(unix_listener& listener) {
    for (;;) auto stream = co_await listener.accept();
}

inline task<> close_unix_listener(unix_listener& listener) {
    co_await sleep(10ms);
    co_await listener.close();
}

inline task<> unix_listener_closed(verdict& v) {
    auto listener = unix_listener::bind(sweep_name());
    bool failed = false;
    try {
        co_await gather(accept_unix_without_end(listener), close_unix_listener(listener));
    } catch (const std::system_error&) {
        failed = true;
    }
    v.expect(failed, "an accept on a closed listener fails");
}

// -- descriptors ----------------------------------------------------------------------------------

/// Sends the writing end of a pipe away, and reads the bytes that its new owner writes.
inline task<> give_a_pipe(unix_stream& to, verdict& v) {
    pipe_ends made = make_pipe();
    const std::array numbers{made.writer.number()};
    co_await to.send_descriptors("w", numbers);
    co_await made.writer.close();
    const std::string got = co_await made.reader.read_all();
    v.expect(got.empty() || got == "through the pipe", "the pipe gives the written bytes");
    if (got.empty()) throw error("no bytes came");
}

inline task<> write_to_what_comes(unix_stream& from, verdict& v) {
    std::string buffer(10, '?');
    auto got = co_await from.receive_descriptors(buffer, 4);
    if (!got) throw error("the stream has ended");
    v.expect(got.data.text() == "w", "a descriptor comes with its byte");
    v.expect(got.descriptors.size() == 1, "one descriptor comes");
    fd_stream pipe(std::move(got.descriptors.front()));
    co_await pipe.write_all("through the pipe");
}

inline task<> descriptor_passed(verdict& v) {
    auto both = co_await over_unix::make();
    co_await gather(give_a_pipe(both.writer, v), write_to_what_comes(both.reader, v));
}

inline task<> descriptor_left_on_its_way(verdict&) {
    auto both = co_await over_unix::make();
    pipe_ends made = make_pipe();
    const std::array numbers{made.writer.number(), made.reader.number()};
    co_await both.writer.send_descriptors("two", numbers);
}

}  // namespace fault_sweep
