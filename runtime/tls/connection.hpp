// SPDX-License-Identifier: MIT
// One connection: an engine, a transport, and the tasks that move bytes between them.
//
// Both directions share the engine. Between two awaits a task is alone, so the engine needs no
// lock. Only sending needs an order. A task that finds records to send, and no other task sending,
// sends until none are left. So records leave in the order in which they were made.
//
// A reader may have to send (an answer to a key update, an alert). It never waits for that, or two
// peers that both only write would block each other: a task of its own sends.
#pragma once

#include <cstddef>
#include <exception>
#include <memory>
#include <string>
#include <utility>

#include <rondo/tls_stream.hpp>
#include <rondo/wait_queue.hpp>

#include "tls/engine.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

struct tls_connection {
    enum class phase_t { fresh, shaking, ready, failed };

    std::unique_ptr<tls_transport> transport;
    std::unique_ptr<tls_engine> engine;
    std::string name;  // of the peer
    duration handshake_limit{};
    phase_t phase = phase_t::fresh;
    std::exception_ptr failure;  // thrown by each later call

    bool is_server = false;
    bool closed = false;        // by close, abort or the destructor of the stream
    bool kept = false;          // `serve` ends the connection, not the destructor
    bool dropped = false;       // the stream was destroyed meanwhile
    bool lingers = false;       // after a failed handshake: linger() closes the transport
    bool said_goodbye = false;  // our close_notify
    bool cut = false;           // a write ended in its middle: further bytes would be out of place
    bool broken = false;        // records were lost on the way out: nothing can be sent any more
    int send_error = 0;         // errno of the transport

    bool reading = false, writing = false;  // a task of the user's
    bool sending = false;                   // a task sends records
    inner_scope* receive_scope = nullptr;   // of the task that waits for the transport's bytes
    inner_scope* send_scope = nullptr;
    wait_queue changed;  // tasks that wait for any of the above

    read_buffer ahead;      // plain bytes that read_line and the like have received ahead
    read_buffer in_flight;  // records that the transport sends
    std::size_t receive_size = receive_least;

    // An idle connection waits with a small buffer, a busy one receives 128 KiB at a time.
    static constexpr std::size_t receive_least = 2 * 1024;
    static constexpr std::size_t receive_most = 128 * 1024;
    static constexpr std::size_t large = 64 * 1024;  // a buffer of so much is handed on

    /// "VERB NAME", or the verb alone.
    std::string titled(const char* verb) const {
        return name.empty() ? std::string(verb) : std::string(verb) + ' ' + name;
    }
    /// True if a close_notify would be true, and can be sent.
    bool is_healthy() const noexcept {
        return phase == phase_t::ready && !failure && !cut && !broken;
    }
    /// The engine's failure as an exception, kept for later calls.
    std::exception_ptr keep_failure(const char* verb);
    void fail(std::exception_ptr error) noexcept;
    /// True if the peer has been told, by an alert, why there will be no connection.
    bool has_refused() const noexcept {
        return phase == phase_t::failed && failure && !broken && !engine->input_ended &&
               !engine->failure.reason.empty();
    }
};

/// For `changed`, which wakes all its waiters each time.
inline void pass_on_nothing(void*) noexcept {}

/// Exclusive use of one direction by a task of the user's.
class tls_turn {
public:
    /// Throws: cancelled if that was requested; closed_error; invalid_state_error.
    tls_turn(tls_connection& connection, bool& busy, const char* verb);
    tls_turn() noexcept = default;
    tls_turn(tls_turn&& other) noexcept
        : connection_(std::exchange(other.connection_, nullptr)), busy_(other.busy_) {}
    tls_turn& operator=(tls_turn&& other) noexcept {
        tls_turn old(std::move(other));
        std::swap(connection_, old.connection_);
        std::swap(busy_, old.busy_);
        return *this;
    }
    ~tls_turn();

private:
    tls_connection* connection_ = nullptr;
    bool* busy_ = nullptr;
};

/// Throws what an operation throws if the stream is closed while it waits.
[[noreturn]] void throw_closed_meanwhile(const tls_connection& c, const char* verb);

// -- moving bytes: transfer.cpp -------------------------------------------------------------------

/// Receives some bytes for the engine. Returns: their number; 0 at the end.
task<std::size_t> receive(tls_connection& c);
/// Returns when all records of the engine have been sent, by this task or another.
/// Throws: std::system_error, also ECANCELED if the stream is closed, unless `closing`.
task<> flush(tls_connection& c, bool closing = false);
/// Sends what the engine has put out, in a task of its own.
void flush_aside(const tls_shared& c) noexcept;

// -- the parts of a connection's life -------------------------------------------------------------

task<> shake_hands(tls_shared self);                                      // handshake.cpp
task<chunk> read_plain(tls_shared self, buffer_view into);                // tls_stream.cpp
task<> end_writing(tls_shared self);                                      // writing.cpp
/// Ends the waits on the stream, and refuses new ones.
void begin_closing(tls_connection& c) noexcept;                           // closing.cpp
/// Closes the transport after a failed handshake. If an alert was sent, bytes that are on their way
/// from the peer are read first: the kernel answers unread bytes with a reset, which would overtake
/// the alert.
void close_after_failure(const tls_shared& self) noexcept;
/// Closes as far as that needs no waiting.
void close_now(const tls_shared& self, bool with_goodbye) noexcept;
/// Sends and awaits the close_notify, and closes.
task<> close_in_order(tls_shared self);

}  // namespace detail
}  // namespace v0
}  // namespace rondo
