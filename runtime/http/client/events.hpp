// SPDX-License-Identifier: MIT
// State behind a stream of server-sent events: the response, the parser, and when to connect again.
#pragma once

#include <exception>
#include <memory>
#include <optional>
#include <string_view>

#include <rondo/http/response.hpp>
#include <rondo/http/server_event.hpp>

#include "http/client/request_spec.hpp"
#include "http/event_parser.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

struct http_events {
    /// `request` is null if it must not be repeated.
    http_events(http::response response, std::unique_ptr<http_request> request,
                std::optional<time_point> until, http::event_stream_options how);

    /// An event of the bytes that have come.
    std::optional<http::server_event> take();
    /// Waits for bytes, or for the next connection.
    task<> wait();

    http::response from;
    http::event_parser parser;
    bool has_ended = false;
    std::exception_ptr failed;

private:
    task<chunk> read_within_silence();
    task<> read();
    task<> connect();
    task<http::response> ask_again();
    void lose(std::exception_ptr why);
    duration pause() const noexcept;

    std::unique_ptr<http_request> request_;
    std::optional<time_point> until_;  // the request's own limit
    http::event_stream_options options_;
    std::string_view unread_;
    bool is_open_ = true;
    int fruitless_ = 0;       // connections in a row that gave no event
    bool gave_event_ = false;  // this connection
    time_point again_at_{};
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
