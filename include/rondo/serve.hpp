// SPDX-License-Identifier: MIT
// `serve` accepts connections and runs a handler for each.
//
// Each connection is a child task. So the server ends when its connections have ended, and its
// cancellation reaches them. A connection that fails is reported with the peer's name, and the
// others go on. There is no server object with start, stop and wait as in asyncio: to stop a
// server, cancel its task.
//
// With a grace time, the connections are shielded from the cancellation and the accepting task is
// not. When accepting has ended, the connections get the grace time to end by themselves; then they
// are cancelled.
#pragma once

#include <cstddef>
#include <exception>
#include <limits>
#include <string>
#include <type_traits>
#include <utility>

#include <rondo/detail/compose/children.hpp>
#include <rondo/net.hpp>
#include <rondo/sleep.hpp>

namespace rondo {
inline namespace v0 {

/// Options of serve.
struct serve_options {
    /// Number of connections at a time; further ones wait in the kernel's backlog.
    std::size_t connections_max = std::numeric_limits<std::size_t>::max();
    /// Time that connections have to end by themselves when the server is cancelled.
    detail::time_limit grace = duration::zero();
};
static_assert(std::is_trivially_destructible_v<serve_options>);

namespace detail {

/// Name of the peer, for reports; empty if the connection is lost already.
RONDO_API std::string name_of_peer(const byte_stream& stream) noexcept;
/// The same for a stream that is not one of the kernel's, by its `peer_name`.
template <class Stream>
    requires(!std::is_base_of_v<byte_stream, Stream>)
std::string name_of_peer(const Stream& stream) {
    if constexpr (requires { std::string(stream.peer_name()); })
        return std::string(stream.peer_name());
    else
        return {};
}
RONDO_API void report_connection(const std::string& peer, std::exception_ptr error) noexcept;

template <class Listener>
using accepted_by = awaited<decltype(std::declval<Listener&>().accept())>;

/// Runs the handler. A stream that has work of its own around its handler, such as a handshake,
/// does so in `serve_with`.
template <class Handler, class Stream>
task<> run_handler(Handler& handler, Stream stream) {
    if constexpr (requires { Stream::serve_with(handler, std::move(stream)); })
        return Stream::serve_with(handler, std::move(stream));
    else
        return handler(std::move(stream));
}

template <class Handler, class Stream>
task<> serve_one(Handler& handler, Stream stream) {
    const std::string peer = name_of_peer(stream);
    try {
        co_await run_handler(handler, std::move(stream));
    } catch (const cancelled&) {
        if (cancel_requested()) throw;  // otherwise the handler chose to end this way
    } catch (...) {
        report_connection(peer, std::current_exception());
    }
}

/// Accepts until it is cancelled, also while it waits for a connection to end.
template <class Listener, class Handler>
task<> accept_all(Listener& listener, Handler& handler, children& connections, std::size_t most) {
    if constexpr (requires { listener.report_shortages(); }) listener.report_shortages();
    for (;;) {
        while (connections.running() >= most) co_await connections.next_end();
        auto stream = co_await listener.accept();
        connections.start(serve_one(handler, std::move(stream)));
    }
}

/// Waits until the kernel has closed the listener, so that its address can be bound again.
template <class Listener>
task<> close_listener(Listener& listener) {
    if constexpr (requires { typename awaited<decltype(listener.close())>; }) {
        inner_scope held_back(inner_scope::kind::shield);
        auto closing = listener.close();
        co_await std::move(closing);
    } else {
        listener.close();
        co_return;
    }
}

/// Waits until the connections have ended; cancels them after `grace`.
RONDO_API task<> end_within(children& connections, duration grace);

template <class Listener, class Handler>
task<> serve_with_grace(Listener& listener, Handler& handler, serve_options options) {
    children accepting("serve");
    {
        inner_scope held_back(inner_scope::kind::shield);
        children connections("serve", children::others::go_on);
        accepting.start(accept_all(listener, handler, connections, options.connections_max));
        co_await accepting.ended();
        co_await close_listener(listener);
        if (!accepting.errors().empty()) connections.cancel();
        co_await end_within(connections, options.grace);
    }
    accepting.rethrow();
}

template <class Listener, class Handler>
task<> serve_until_cancelled(Listener& listener, Handler& handler, serve_options options) {
    children connections("serve", children::others::go_on);
    try {
        co_await accept_all(listener, handler, connections, options.connections_max);
    } catch (const cancelled&) {
        connections.stopped();
    } catch (...) {
        connections.fail(std::current_exception());
        connections.cancel();
    }
    co_await close_listener(listener);
    co_await connections.ended();
    connections.rethrow();
}

}  // namespace detail

/// Accepts on `listener` (a tcp_listener, a unix_listener, or a type with such `accept` and
/// `close`) and runs `handler(stream)`, which must return a task, for each connection. It never
/// ends by itself. Listener and handler live until every connection has ended. An exception of a
/// handler goes to the loop's exception handler with the peer's name, and the other connections go
/// on; if the peer has reset the connection, the report is `routine`. A shortage of descriptors or
/// memory that lasts is reported to the exception handler once, and connections wait.
/// Throws: std::system_error if the listener itself fails, after the connections were cancelled and
///         have ended.
/// Cancel: closes the listener, gives the connections `options.grace`, cancels those that are left,
///         and waits for their end. After that the listener's address is free.
/// See:    asyncio.start_server, trio.serve_tcp.
template <class Listener, class Handler>
    requires(detail::is_task<
             std::invoke_result_t<Handler&, detail::accepted_by<Listener>>>::value)
task<> serve(Listener listener, Handler handler, serve_options options = {}) {
    auto serving = options.grace > duration::zero()
                       ? detail::serve_with_grace(listener, handler, options)
                       : detail::serve_until_cancelled(listener, handler, options);
    co_await std::move(serving);
}

}  // namespace v0
}  // namespace rondo
