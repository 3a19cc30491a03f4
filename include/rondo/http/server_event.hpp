// SPDX-License-Identifier: MIT
// Server-sent events: a response of type text/event-stream, event by event, over as many
// connections as it takes.
//
//     auto response = co_await http.get("https://example.org/news");
//     auto events = response.events();
//     while (auto event = co_await events.next())
//         fmt::print("{}: {}\n", event->type, event->data);
//
// As EventSource of a browser does, the stream connects again after its connection has ended, and
// names the last event that it got (Last-Event-ID), so that the server can go on from there.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>

#include <rondo/config.hpp>
#include <rondo/task.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {
struct http_events;
}
namespace http {

class response;

/// An event of a stream text/event-stream.
/// See: https://html.spec.whatwg.org/multipage/server-sent-events.html
struct server_event {
    server_event() = default;  // so it is no aggregate, which g++ 12 destroys twice in an await

    std::string type = "message";
    std::string data;  // lines are joined by '\n'
    std::string id;    // the last id that the stream has named, also before this event
};

/// How a stream of events goes on after its connection has ended.
struct event_stream_options {
    /// Whether it connects again. Only a GET without a body is ever repeated: the events of
    /// another request end with its response.
    bool reconnect = true;
    /// Until the server names another time ("retry: 5000"). It is doubled after each connection
    /// that gave no event.
    detail::time_limit delay = std::chrono::seconds(3);
    detail::time_limit delay_max = std::chrono::minutes(5);  ///< also of the server's own time
    /// So many connections in a row that gave no event are an error. 0: it never gives up.
    int attempts = 0;
    /// A connection on which nothing came for this time counts as lost. Servers that send a comment
    /// each 15 s or so make this useful. Zero: it may be silent for ever.
    detail::time_limit silence{};
    std::size_t event_bytes = std::size_t{1} << 20;  ///< of the longest event
};
static_assert(std::is_trivially_destructible_v<event_stream_options>);

/// The events of a response. Move-only; may outlive the session.
/// Thread: its loop's thread.
/// See:    EventSource of browsers, httpx-sse, aiohttp-sse-client.
class RONDO_API event_stream {
public:
    event_stream(event_stream&&) noexcept;
    event_stream& operator=(event_stream&&) noexcept;
    /// Closes the connection.
    ~event_stream();

    /// The next event; waits for it, over connections that are lost.
    /// Returns: nothing if the server says that the stream has ended (status 204), or if the
    ///          connection has ended and is not to be made again.
    /// Throws:  status_error for another status than 200 when it connects again, http::error for
    ///          another content type; http::limit_error for an event that is too long;
    ///          http::tls_error; the last connection's error after `attempts` of them;
    ///          http::timeout_error if the request had a `timeout`. Later calls throw it again.
    /// Cancel:  no event is lost. A later call goes on, and keeps the time to connect again.
    task<std::optional<server_event>> next();

    /// The response that the events come from now: its head.
    const http::response& response() const noexcept;
    /// The last id that the stream has named: to be kept, and sent as `last-event-id` by the next
    /// run of a program.
    const std::string& last_id() const noexcept;

    explicit event_stream(std::unique_ptr<detail::http_events> state) noexcept;

private:
    detail::http_events& state() const noexcept;

    std::unique_ptr<detail::http_events> state_;
};

}  // namespace http
}  // namespace v0
}  // namespace rondo
