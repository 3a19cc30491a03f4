// SPDX-License-Identifier: MIT
// Exclusive use of one direction of a stream, for operations other than read_some and write_all
// (splice, descriptors in messages).
#pragma once

#include <sys/socket.h>

#include <rondo/detail/io/stream_io.hpp>
#include <rondo/error.hpp>
#include <rondo/sleep.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

/// Throws: closed_error if the stream is closed.
inline void check_open(stream_state& stream, const char* verb) {
    if (!stream.fd.is_open()) throw_closed(verb, stream);
}

/// shutdown(2) of the writing direction of a socket.
/// Throws: closed_error.
inline operation<void> shut_down_write(stream_state& stream) {
    static constexpr auto kind = operation_kind("shutdown");
    check_open(stream, "shutdown");
    request ask;
    ask.code = opcode::shutdown;
    ask.length = SHUT_WR;
    stream.name();  // made now, for errors: after a close the kernel knows the peer no more
    return {kind, stream.fd.record(), ask, [](operation_state&) {}};
}

/// Marks one direction of a stream as taken while this object lives.
class stream_turn {
public:
    /// Throws: cancelled if that was requested; closed_error; invalid_state_error if another task
    ///         uses this direction, or if a write has ended in its middle.
    static stream_turn to_read(stream_state& stream, const char* verb) {
        if (cancel_requested()) throw cancelled();
        check_open(stream, verb);
        if (stream.reading) throw_second_reader(verb, stream);
        return stream_turn(stream.reading);
    }
    static stream_turn to_write(stream_state& stream, const char* verb) {
        if (cancel_requested()) throw cancelled();
        check_open(stream, verb);
        if (stream.writing) throw_second_writer(verb, stream);
        if (stream.torn) throw_torn(verb, stream);
        return stream_turn(stream.writing);
    }
    ~stream_turn() { mark_ = false; }
    stream_turn(const stream_turn&) = delete;
    stream_turn& operator=(const stream_turn&) = delete;

private:
    explicit stream_turn(bool& mark) noexcept : mark_(mark) { mark_ = true; }
    bool& mark_;
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
