// SPDX-License-Identifier: MIT
// The parser of text/event-stream: bytes in, events out. Lines end with LF, CR or CR LF; a byte
// order mark may come first; an event that the end of the stream cuts off is dropped, as the
// standard says.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include <rondo/http/server_event.hpp>

namespace rondo {
inline namespace v0 {
namespace http {

class event_parser {
public:
    /// An event may be of `event_bytes_max`: a server must not fill the memory.
    explicit event_parser(std::size_t event_bytes_max = std::size_t{1} << 20) noexcept
        : bytes_max_(event_bytes_max) {}

    struct result {
        std::size_t consumed = 0;
        bool has_event = false;  // in event(); call again with the rest
        bool is_too_long = false;
    };
    result next(std::string_view bytes);
    /// After has_event; the caller may move it.
    server_event& event() noexcept { return event_; }

    /// The value for Last-Event-ID when the client connects again; empty if there is none.
    const std::string& last_id() const noexcept { return last_id_; }
    /// The time to wait before connecting again, if the server has named one.
    std::optional<std::chrono::milliseconds> retry() const noexcept { return retry_; }

    /// Begins another stream after a new connection: last_id() and retry() stay.
    void restart();

private:
    bool end_line();  // true: an event is complete
    void take_field(std::string_view name, std::string_view value);
    bool dispatch();

    server_event event_;
    std::string line_;
    std::string data_;
    std::string type_;
    std::string last_id_;
    std::optional<std::chrono::milliseconds> retry_;
    std::size_t bytes_max_;
    bool has_data_ = false;
    bool after_cr_ = false;  // a LF is part of the line end before
    bool is_first_ = true;   // a byte order mark may come
};

}  // namespace http
}  // namespace v0
}  // namespace rondo
