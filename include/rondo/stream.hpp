// SPDX-License-Identifier: MIT
// Byte streams in both directions: the common base of sockets (net.hpp, unix.hpp) and pipes.
//
// A read goes straight into the caller's buffer: no allocation, no copy. Only read_line and the
// other buffered reads need a buffer in the stream. It is made on first use, and `read_some` drains
// it first, so all reads may be mixed. A write is one wait: if the kernel takes only a part, the
// awaiter itself continues with the rest.
//
// A stream has one reader and one writer at a time. Two sends in flight on one socket interleave in
// the kernel, and two reads share out the bytes at random. To serialise them here would hide what
// is nearly always a mistake, so the second one throws invalid_state_error. To share a writer, use
// a mutex, or a queue and one task that writes.
//
// The concepts `input_stream`, `output_stream` and `duplex_stream` say what a type needs to be a
// stream. Everything that works on streams (buffered, split, copy) works on your own types too.
#pragma once

#include <concepts>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>

#include <rondo/buffer.hpp>
#include <rondo/detail/io/stream_io.hpp>
#include <rondo/future.hpp>
#include <rondo/view.hpp>

namespace rondo {
inline namespace v0 {

/// A write failed, perhaps after a part of the bytes had been sent:
/// "send 127.0.0.1:7007: Broken pipe (after 4096 of 10000 bytes)".
class RONDO_API write_error : public std::system_error {
public:
    write_error(std::error_code code, std::string_view subject, std::size_t written,
                std::size_t wanted);
    ~write_error() override;

    const char* what() const noexcept override { return text_.what(); }
    /// Number of bytes given to the kernel. How many of them have arrived is unknown.
    std::size_t bytes_written() const noexcept { return written_; }

private:
    std::runtime_error text_;
    std::size_t written_;
};

/// A type to read from: `read_some` gives a `chunk`, false at the end, and loses no byte when it is
/// cancelled.
template <class S>
concept input_stream = requires(S& s, buffer_view into) {
    requires std::same_as<detail::awaited<decltype(s.read_some(into))>, chunk>;
};

/// A type to write to: `write_all` writes all bytes or throws.
template <class S>
concept output_stream = requires(S& s, const_buffer data) {
    typename detail::awaited<decltype(s.write_all(data))>;
};

/// Both directions: `shutdown_write` ends the writing direction, `close` ends both.
template <class S>
concept duplex_stream = input_stream<S> && output_stream<S> && requires(S& s) {
    typename detail::awaited<decltype(s.shutdown_write())>;
    s.close();
};

namespace detail {

RONDO_API task<std::optional<std::string>> read_line(held<> stream, std::size_t limit);
RONDO_API task<std::string> read_until(held<> stream, std::string separator, std::size_t limit);
RONDO_API task<> read_exactly(held<> stream, buffer_view into);
RONDO_API task<std::string> read_exactly(held<> stream, std::size_t size);
RONDO_API task<std::string> read_all(held<> stream, std::size_t limit);
RONDO_API task<std::string_view> peek(held<> stream, std::size_t least);

struct stream_access;

}  // namespace detail

/// A read that returns its failure as a value: `co_await` gives result<chunk> and throws only
/// `cancelled`.
inline detail::read_result_awaitable as_result(detail::read_awaitable inner) noexcept {
    return detail::read_result_awaitable(std::move(inner));
}

/// A stream of bytes. Move-only; the destructor closes it.
/// Thread: its loop's thread.
/// See:    asyncio.StreamReader, asyncio.StreamWriter.
class RONDO_API byte_stream {
public:
    static constexpr std::size_t line_limit = 64 * 1024;
    static constexpr std::size_t all_limit = 64 * 1024 * 1024;

    byte_stream(byte_stream&&) noexcept = default;
    byte_stream& operator=(byte_stream&& other) noexcept {
        byte_stream old(std::move(other));
        std::swap(state_, old.state_);
        return *this;
    }

    /// Reads the bytes that have arrived, at least one, into `into`. Bytes that read_line and the
    /// like have read ahead come first.
    /// Returns: the filled part of `into`; false at the end of the stream.
    /// Throws:  std::system_error, and after a lost connection each later read throws it again;
    ///          closed_error if the stream was closed before; invalid_state_error if another task
    ///          waits to read.
    /// Cancel:  no byte is lost: bytes that came anyway are returned, and the next wait throws.
    /// See:     recv(2), asyncio StreamReader.read.
    detail::read_awaitable read_some(buffer_view into) { return {state(), into}; }

    /// Gives the bytes that have arrived, at least one, in the memory that the kernel has filled:
    /// no copy and no buffer of the caller's. May be mixed with the other reads.
    /// Returns: a view, whose destructor gives the memory back; false at the end of the stream.
    /// Throws:  as read_some; std::bad_alloc.
    /// Cancel:  no byte is lost: the bytes stay in the stream for the next read.
    /// Since:   Linux 6.0; on older kernels each view is a read into memory of its own.
    /// See:     io_uring_prep_recv_multishot(3), loop_options::receive_buffers.
    detail::view_awaitable read_view() { return detail::view_awaitable(state()); }

    /// Reads a line and strips its "\n" or "\r\n". The last line may lack it.
    /// Returns: the line; empty if the stream has ended and no byte is left.
    /// Throws:  limit_error for a line of more than `limit` bytes, which stay readable;
    ///          std::system_error; invalid_state_error if another task waits to read.
    /// Cancel:  no byte is lost: the part of the line that has come stays in the stream.
    /// See:     asyncio StreamReader.readline.
    task<std::optional<std::string>> read_line(std::size_t limit = line_limit) {
        return detail::read_line(state(), limit);
    }

    /// Reads up to the first `separator`, which is part of the result.
    /// Throws:  limit_error if it is not within the first `limit` bytes, which stay readable;
    ///          incomplete_read_error, with the bytes that had come, at the end of the stream;
    ///          std::invalid_argument for an empty separator; otherwise as read_line.
    /// Cancel:  no byte is lost, as with read_line.
    /// See:     asyncio StreamReader.readuntil.
    task<std::string> read_until(std::string separator, std::size_t limit = line_limit) {
        return detail::read_until(state(), std::move(separator), limit);
    }

    /// Fills all of `into`.
    /// Throws:  incomplete_read_error, with the bytes that had come, at the end of the stream;
    ///          otherwise as read_line.
    /// Cancel:  no byte is lost: the next read reads them again.
    /// See:     asyncio StreamReader.readexactly.
    task<> read_exactly(buffer_view into) { return detail::read_exactly(state(), into); }
    /// Reads exactly `size` bytes into a string. Memory grows with the bytes that arrive, so `size`
    /// may be a number that the peer sent.
    task<std::string> read_exactly(std::size_t size) {
        return detail::read_exactly(state(), size);
    }

    /// Reads up to the end of the stream.
    /// Throws:  limit_error for more than `limit` bytes, which stay readable; otherwise as
    ///          read_line.
    /// Cancel:  no byte is lost, as with read_line.
    /// See:     asyncio StreamReader.read(-1).
    task<std::string> read_all(std::size_t limit = all_limit) {
        return detail::read_all(state(), limit);
    }

    /// Waits until at least `least` bytes are in the stream's buffer, and leaves them there.
    /// Returns: all bytes in the buffer; fewer than `least` only at the end of the stream. Valid
    ///          until the next read.
    /// Throws:  as read_line.
    /// Cancel:  as read_line.
    task<std::string_view> peek(std::size_t least = 1) { return detail::peek(state(), least); }
    /// Puts bytes back: the next read gives them first.
    /// Throws: std::bad_alloc.
    void unread(const_buffer bytes) { state()->ahead.prepend(bytes); }

    /// Writes all of `data`, which is borrowed until the await has ended.
    /// Throws:  write_error, which says how many bytes were sent; closed_error;
    ///          invalid_state_error if another task writes, or if an earlier write ended after a
    ///          part of its bytes.
    /// Cancel:  a part may have been sent; if so, the stream refuses further writes.
    /// See:     send(2), asyncio StreamWriter.write and drain.
    detail::write_awaitable<1> write_all(const_buffer data) {
        return detail::write_awaitable<1>(state(), data);
    }

    /// Writes several buffers, one after the other, in one call: `write_all(head, "\r\n", body)`.
    /// Throws:  as write_all of one buffer.
    /// Cancel:  as write_all of one buffer.
    /// See:     sendmsg(2), asyncio StreamWriter.writelines.
    template <class... Parts>
        requires(sizeof...(Parts) > 1 && (std::is_constructible_v<const_buffer, Parts&> && ...))
    detail::write_awaitable<sizeof...(Parts)> write_all(Parts&&... parts) {
        return detail::write_awaitable<sizeof...(Parts)>(state(), const_buffer(parts)...);
    }

    bool is_open() const noexcept { return state_ && state_->fd.is_open(); }
    explicit operator bool() const noexcept { return is_open(); }

    /// Whether a read would wait: no byte, no end and no error has come. A connection that was kept
    /// idle can be used again only then. Asks the kernel, and does not wait. False for a stream
    /// that is closed or that was read by views.
    /// See: poll(2).
    bool is_quiet() const noexcept;

    /// Closes the stream; waits on it end with ECANCELED. The result may be ignored, or awaited
    /// until the descriptor is closed.
    /// Throws: if awaited: std::system_error.
    /// Cancel: ends the await; the stream is closed all the same.
    /// See:    close(2), asyncio StreamWriter.close and wait_closed.
    detail::closing close() noexcept;

protected:
    byte_stream() noexcept = default;
    explicit byte_stream(detail::held<> state) noexcept : state_(std::move(state)) {}
    ~byte_stream() {
        if (state_) state_->close();
    }
    const detail::held<>& state() const noexcept {
        RONDO_ASSERT(state_, "this stream is empty: it was moved from or never opened");
        return state_;
    }

private:
    friend struct detail::stream_access;
    detail::held<> state_;
};

namespace detail {

/// Gives code in detail access to the state behind a stream.
struct stream_access {
    static const held<>& state(const byte_stream& stream) noexcept { return stream.state(); }
};

}  // namespace detail

}  // namespace v0
}  // namespace rondo
