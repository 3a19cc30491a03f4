// SPDX-License-Identifier: MIT
// A server is one function: it accepts, and runs a handler for each connection.
//
// Each connection is a child task, so the server ends when its connections have ended, and its
// cancellation reaches them. One that fails is that peer's trouble and nobody else's: it is
// reported, by the peer's name, and the others go on. The choice not taken is asyncio's server
// object with its own start, stop and wait: cancelling the task says it all.
#pragma once

#include <cstddef>
#include <exception>
#include <limits>
#include <type_traits>
#include <utility>

#include <rondo/detail/children.hpp>
#include <rondo/net.hpp>

namespace rondo {
inline namespace v0 {

/// How a server serves.
struct serve_options {
    /// So many at once; further ones wait in the kernel's backlog.
    std::size_t connections_max = std::numeric_limits<std::size_t>::max();
};
static_assert(std::is_trivially_destructible_v<serve_options>);

namespace detail {

/// Nowhere, if the peer is gone already.
RONDO_API endpoint peer_of(const tcp_stream& stream) noexcept;
RONDO_API void report_connection(const endpoint& peer, std::exception_ptr error) noexcept;

template <class Handler>
task<> serve_one(Handler& handler, tcp_stream stream) {
    const endpoint peer = peer_of(stream);
    try {
        co_await handler(std::move(stream));
    } catch (const cancelled&) {
        if (cancel_requested()) throw;  // else it was the handler's own way to end
    } catch (...) {
        report_connection(peer, std::current_exception());
    }
}

}  // namespace detail

/// Accepts on `listener` and runs `handler(tcp_stream)`, which must give a task, for each
/// connection; without end. Both live until every connection has ended. What a handler throws goes
/// to the loop's exception handler with the peer's name, and the others go on.
/// Throws: std::system_error where the listener itself fails; the connections are cancelled and
///         awaited first.
/// Cancel: closes the listener, cancels the connections and awaits their end.
/// See:    asyncio.start_server, trio.serve_tcp.
template <class Handler>
    requires(detail::is_task<std::invoke_result_t<Handler&, tcp_stream>>::value)
task<> serve(tcp_listener listener, Handler handler, serve_options options = {}) {
    detail::children connections("serve", detail::children::others::go_on);
    try {
        for (;;) {
            if (options.connections_max != std::numeric_limits<std::size_t>::max())
                co_await connections.fewer_than(options.connections_max);
            tcp_stream stream = co_await listener.accept();
            connections.start(detail::serve_one(handler, std::move(stream)));
        }
    } catch (const cancelled&) {
        connections.stopped();
    } catch (...) {
        connections.fail(std::current_exception());
        connections.cancel();
    }
    listener.close();
    co_await connections.ended();
    connections.rethrow();
}

}  // namespace v0
}  // namespace rondo
