// SPDX-License-Identifier: MIT
// Trace of requests: the session calls your function at each moment of a request. For logs,
// metrics and debugging.
//
//     http.trace([](const rondo::http::trace_event& event) {
//         fmt::print("{} {} {}\n", event.request, text(event.point), event.url);
//     });
#pragma once

#include <cstdint>
#include <string_view>

#include <rondo/config.hpp>

namespace rondo {
inline namespace v0 {
namespace http {

/// The moments of a request. `start` comes once and first; `end` or `error` once and last. A
/// request whose URL is refused has an `error` alone.
enum class trace_point : std::uint8_t {
    start,
    queued,    ///< it has a connection of the pool, or may make one
    dns,       ///< a name was looked up
    connect,   ///< TCP or the Unix socket, the proxy's tunnel included, is connected
    tls,       ///< the handshake is made
    sent,      ///< the request was sent, with its body
    head,      ///< the head of the response has come
    chunk,     ///< a piece of the body has come
    redirect,  ///< the response is a redirect that is followed
    retry,     ///< the request is sent again, after a pause of `took`
    end,       ///< the body was read to its end, or the response was closed before
    error,     ///< the request has failed, or was cancelled
};
/// "start", "queued", …
RONDO_API std::string_view text(trace_point point) noexcept;

/// One moment. Its texts are good until the hook returns.
struct trace_event {
    trace_point point = trace_point::start;
    std::uint64_t request = 0;  ///< number of the request in its session, from 1 on
    time_point time{};          ///< on the loop's clock
    duration elapsed{};         ///< since the start of the request
    duration took{};            ///< the wait that has ended: for a seat, a name, …; for the head,
                                ///< since the request was sent; for a retry, the pause to come
    std::string_view method{};
    std::string_view url{};     ///< without user and password; empty if it was refused
    int status = 0;             ///< of head, redirect, and a retry after a response
    std::uint64_t bytes = 0;    ///< sent: of the body; chunk: its size; end: of the body in all,
                                ///< as it was sent
    bool reused = false;        ///< queued: the connection has served a request before
    std::string_view text{};    ///< connect: the address; redirect: the next URL; retry and error:
                                ///< the reason
};

}  // namespace http
}  // namespace v0
}  // namespace rondo
