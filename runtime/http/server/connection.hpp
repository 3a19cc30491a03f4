// SPDX-License-Identifier: MIT
// The bytes below a connection of the server, whatever the version of HTTP.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>

#include <rondo/serve.hpp>

#include "http/server/clock.hpp"
#include "http/server/input.hpp"
#include "http/server/server.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

/// Speaks a version of HTTP on a connection, which passes its events on.
class http_speaker {
public:
    virtual ~http_speaker() = default;
    /// As of http_server_connection.
    virtual void begin_end() noexcept = 0;
    virtual void cut_off() noexcept = 0;
    /// The limit of time that was set last is over.
    virtual void time_is_up() noexcept = 0;
    /// No further bytes of the peer will come.
    virtual void peer_has_ended() noexcept = 0;
    /// True if the peer has gone: errors of the stream are its end then, and not reported.
    virtual bool is_gone() const noexcept = 0;
    /// Called when the connection's task has ended. Aborts the stream if a reply is unfinished.
    virtual void finish() noexcept = 0;
};

/// A connection while it lives: its bytes, the tasks below it, and what speaks on it. While it is
/// idle nothing does, so that it is small.
class http_link final : public http_server_connection {
public:
    http_link(http_server& of, std::unique_ptr<http_server_stream> on);
    http_link(const http_link&) = delete;
    http_link& operator=(const http_link&) = delete;
    ~http_link();

    /// Bounds of what a peer may still send before the connection is closed. To close a socket with
    /// unread bytes resets the connection, and the peer may lose what it has not read yet.
    static constexpr std::uint64_t skipped_bytes = 64 * 1024;
    static constexpr duration skipped_time = std::chrono::seconds(1);

    /// Before the wait for the first byte of a request. Returns: false if none is wanted.
    bool begin_idle(bool is_first);
    /// After it. Returns: false if none has come.
    bool end_idle() noexcept;
    /// Serves what has come, until the connection is idle again. Returns: false at its end.
    /// Throws: errors of the server's own, and of the stream.
    task<bool> speak(bool is_first);
    /// Reads and drops skipped_bytes at most, until the end or input.stop().
    task<> skip_rest();
    /// The body of the task that reads.
    task<> read_all() { return input.read_all(peer_has_ended, this); }

    // -- http_server_connection
    void begin_end() noexcept override;
    void cut_off() noexcept override;

    http_server& server;
    std::unique_ptr<http_server_stream> stream;
    byte_stream* direct;
    http_input input;
    http_clock clock;
    children scope;  // its cancellation ends the connection
    std::unique_ptr<http_speaker> speaker;

private:
    static void peer_has_ended(void* self) noexcept;
    static void time_is_up(void* self) noexcept;
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
