// SPDX-License-Identifier: MIT
// A server is one function: it accepts, and runs a handler for each connection.
//
// Each connection is a child task, so the server ends when its connections have ended, and its
// cancellation reaches them. One that fails is that peer's trouble and nobody else's: it is
// reported, by the peer's name, and the others go on. The choice not taken is asyncio's server
// object with its own start, stop and wait: cancelling the task says it all.
//
// With a grace time the request is held back from the connections: they stand behind a shield, the
// task that accepts does not. When that has ended they are given the time to end by themselves, and
// only then the request.
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

/// How a server serves.
struct serve_options {
    /// So many at once; further ones wait in the kernel's backlog.
    std::size_t connections_max = std::numeric_limits<std::size_t>::max();
    /// When the server is cancelled connections have so long to end by themselves.
    detail::time_limit grace = duration::zero();
};
static_assert(std::is_trivially_destructible_v<serve_options>);

namespace detail {

/// Of the peer, for reports; empty where it is gone already.
RONDO_API std::string name_of_peer(const byte_stream& stream) noexcept;
RONDO_API void report_connection(const std::string& peer, std::exception_ptr error) noexcept;

template <class Listener>
using accepted_by = awaited<decltype(std::declval<Listener&>().accept())>;

template <class Handler, class Stream>
task<> serve_one(Handler& handler, Stream stream) {
    const std::string peer = name_of_peer(stream);
    try {
        co_await handler(std::move(stream));
    } catch (const cancelled&) {
        if (cancel_requested()) throw;  // else it was the handler's own way to end
    } catch (...) {
        report_connection(peer, std::current_exception());
    }
}

/// Without end; leaves when it is asked to, also while it waits for a connection to end.
template <class Listener, class Handler>
task<> accept_all(Listener& listener, Handler& handler, children& connections, std::size_t most) {
    if constexpr (requires { listener.report_shortages(); }) listener.report_shortages();
    for (;;) {
        while (connections.running() >= most) co_await connections.next_end();
        auto stream = co_await listener.accept();
        connections.start(serve_one(handler, std::move(stream)));
    }
}

/// Until the kernel has let go of the listener: then another one can be bound to its address.
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

/// The connections have ended, by themselves or because the time is over.
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

/// Accepts on `listener` (tcp_listener, unix_listener, or whatever has `accept` and `close` as they do)
/// and runs `handler(stream)`, which must give a task, for each connection; without end. Both live
/// until every connection has ended. What a handler throws goes to the loop's exception handler
/// with the peer's name, and the others go on; a reset by the peer is `routine` there. If
/// descriptors or memory are short for more than a moment, the handler is told once, and
/// connections wait.
/// Throws: std::system_error where the listener itself fails; the connections are cancelled and
///         awaited first.
/// Cancel: closes the listener, gives the connections `options.grace`, cancels those that are left,
///         and awaits their end. After that the listener's address is free.
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
