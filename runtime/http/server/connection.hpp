// SPDX-License-Identifier: MIT
// The bytes below a connection of the server, whatever the version of HTTP.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <utility>

#include "http/server/input.hpp"
#include "http/server/server.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

/// The stream, and the task that reads it.
struct http_link {
    explicit http_link(std::unique_ptr<http_server_stream> of) noexcept
        : stream(std::move(of)), direct(stream->direct()), input(*stream) {}

    /// Bounds of what a peer may still send before the connection is closed. To close a socket with
    /// unread bytes resets the connection, and the peer may lose what it has not read yet.
    static constexpr std::uint64_t skipped_bytes = 64 * 1024;
    static constexpr duration skipped_time = std::chrono::seconds(1);

    /// Reads and drops skipped_bytes at most, until the end or input.stop().
    task<> skip_rest();

    std::unique_ptr<http_server_stream> stream;
    byte_stream* direct;
    http_input input;
    http_server_connection* connection = nullptr;  // hears of the end
};

/// A connection while it lives: its server and its bytes know it.
class http_listing {
public:
    http_listing(http_server& server, http_link& link, http_server_connection& which) noexcept
        : server_(server), link_(link), which_(which) {
        server_.connections.append(which_);
        link_.connection = &which_;
    }
    http_listing(const http_listing&) = delete;
    http_listing& operator=(const http_listing&) = delete;
    ~http_listing() {
        link_.connection = nullptr;
        server_.connections.remove(which_);
    }

private:
    http_server& server_;
    http_link& link_;
    http_server_connection& which_;
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
