// SPDX-License-Identifier: MIT
// Bytes in order, both ways: what sockets (net.hpp) and pipes have in common.
//
// A read goes straight into the caller's buffer; nothing is allocated and nothing is copied. Only
// reading by lines and the like needs a buffer of the stream's own, which is made on first use, and
// which `read_some` drains first: they may be mixed. A write is one wait, however often the kernel
// takes only a part: the awaiter itself goes on with the rest.
//
// One reader and one writer at a time. Two sends in flight on one socket interleave in the kernel,
// and two reads share out the bytes at random; serialising them in here would hide what is nearly
// always a mistake, so the second one is refused with a sentence. Whoever wants a shared writer
// takes a mutex, or a queue and a task.
//
// Whatever reads and writes so is a stream: `input_stream`, `output_stream` and `duplex_stream` say
// what that takes, and everything that works on streams (buffered, split, copy) works on yours.
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

/// A write that failed, perhaps after a part of it had gone:
/// "send 127.0.0.1:7007: Broken pipe (after 4096 of 10000 bytes)".
class RONDO_API write_error : public std::system_error {
public:
    write_error(std::error_code code, std::string_view subject, std::size_t written,
                std::size_t wanted);
    ~write_error() override;

    const char* what() const noexcept override { return text_.what(); }
    /// How many bytes had been given to the kernel; how many of them have arrived nobody knows.
    std::size_t bytes_written() const noexcept { return written_; }

private:
    std::runtime_error text_;
    std::size_t written_;
};

/// Something to read from: `read_some` gives a `chunk`, false at the end, and loses no byte where it
/// is cancelled.
template <class S>
concept input_stream = requires(S& s, buffer_view into) {
    requires std::same_as<detail::awaited<decltype(s.read_some(into))>, chunk>;
};

/// Something to write to: `write_all` writes all or throws.
template <class S>
concept output_stream = requires(S& s, const_buffer data) {
    typename detail::awaited<decltype(s.write_all(data))>;
};

/// Both ways: `shutdown_write` ends one of them, `close` the whole.
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

/// The same read with its failure as a value: `co_await` gives result<chunk> and throws nothing but
/// `cancelled`.
inline detail::reading_result as_result(detail::reading inner) noexcept {
    return detail::reading_result(std::move(inner));
}

/// A stream of bytes. Move-only; the destructor closes it.
/// Thread: its loop's.
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

    /// Reads what has arrived, at least one byte, into `into`; what read_line received too much
    /// comes first.
    /// Returns: the filled part; false at the end of the stream.
    /// Throws:  std::system_error; that of a lost connection is thrown by each later read too;
    ///          closed_error if the stream was closed before; invalid_state_error where another
    ///          task waits to read.
    /// Cancel:  nothing lost: bytes that came anyway are returned, and the next wait throws.
    /// See:     recv(2), asyncio StreamReader.read.
    detail::reading read_some(buffer_view into) { return {state(), into}; }

    /// What has arrived, at least one byte, where the kernel has put it: no copy, no buffer of one's
    /// own. The two kinds of reading may be mixed.
    /// Returns: a view, whose destructor gives the memory back; false at the end of the stream.
    /// Throws:  as read_some; std::bad_alloc.
    /// Cancel:  nothing lost: what has come stays in the stream, for the next read.
    /// Since:   Linux 6.0; before that each view is a read into memory of its own.
    /// See:     io_uring_prep_recv_multishot(3), loop_options::receive_buffers.
    detail::viewing read_view() { return detail::viewing(state()); }

    /// Reads a line and strips its "\n" or "\r\n". The last one may lack it.
    /// Returns: empty where the stream has ended and nothing is left.
    /// Throws:  limit_error for a line of more than `limit` bytes, which stay readable;
    ///          std::system_error; invalid_state_error where another task waits to read.
    /// Cancel:  nothing lost: what has come of the line stays in the stream.
    /// See:     asyncio StreamReader.readline.
    task<std::optional<std::string>> read_line(std::size_t limit = line_limit) {
        return detail::read_line(state(), limit);
    }

    /// Reads up to and with the first `separator`.
    /// Throws:  limit_error where it is not within the first `limit` bytes, which stay readable;
    ///          incomplete_read_error, with what had come, at the end of the stream;
    ///          std::invalid_argument for an empty separator; otherwise as read_line.
    /// Cancel:  nothing lost, as with read_line.
    /// See:     asyncio StreamReader.readuntil.
    task<std::string> read_until(std::string separator, std::size_t limit = line_limit) {
        return detail::read_until(state(), std::move(separator), limit);
    }

    /// Fills all of `into`.
    /// Throws:  incomplete_read_error, with what had come, at the end of the stream; otherwise as
    ///          read_line.
    /// Cancel:  nothing lost: what has come is read again by the next read.
    /// See:     asyncio StreamReader.readexactly.
    task<> read_exactly(buffer_view into) { return detail::read_exactly(state(), into); }
    /// The same, into a string. Memory is taken as bytes come, so `size` may be what a peer says.
    task<std::string> read_exactly(std::size_t size) {
        return detail::read_exactly(state(), size);
    }

    /// Everything up to the end of the stream.
    /// Throws:  limit_error for more than `limit` bytes, which stay readable; otherwise as
    ///          read_line.
    /// Cancel:  nothing lost, as with read_line.
    task<std::string> read_all(std::size_t limit = all_limit) {
        return detail::read_all(state(), limit);
    }

    /// Waits until at least `least` bytes are there, and leaves them.
    /// Returns: all that is there; less than `least` only at the end of the stream. Good until the
    ///          next read.
    /// Throws, Cancel: as read_line.
    task<std::string_view> peek(std::size_t least = 1) { return detail::peek(state(), least); }
    /// Puts bytes back: they are read first.
    /// Throws: std::bad_alloc.
    void unread(const_buffer bytes) { state()->ahead.prepend(bytes); }

    /// Writes all of it. Borrowed until the await has ended.
    /// Throws:  write_error, which says how many bytes went; closed_error; invalid_state_error
    /// where another task
    ///          writes, or where an earlier write was cancelled in its middle.
    /// Cancel:  a part may have gone; then the stream refuses further writes.
    /// See:     send(2), asyncio StreamWriter.write and drain.
    detail::writing<1> write_all(const_buffer data) { return detail::writing<1>(state(), data); }

    /// The same with several buffers, one after the other, in one go: `write_all(head, "\r\n",
    /// body)`.
    /// See: sendmsg(2), asyncio StreamWriter.writelines.
    template <class... Parts>
        requires(sizeof...(Parts) > 1 && (std::is_constructible_v<const_buffer, Parts&> && ...))
    detail::writing<sizeof...(Parts)> write_all(Parts&&... parts) {
        return detail::writing<sizeof...(Parts)>(state(), const_buffer(parts)...);
    }

    bool is_open() const noexcept { return state_ && state_->fd.is_open(); }
    explicit operator bool() const noexcept { return is_open(); }

    /// Closes it; waits on it end with ECANCELED. May be ignored, or awaited until it is really
    /// closed.
    /// Throws: awaited: std::system_error.
    /// Cancel: awaited: leaves; it is closed all the same.
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

/// For those who work on what stands behind a stream.
struct stream_access {
    static const held<>& state(const byte_stream& stream) noexcept { return stream.state(); }
};

}  // namespace detail

}  // namespace v0
}  // namespace rondo
