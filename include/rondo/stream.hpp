// SPDX-License-Identifier: MIT
// Bytes in order, both ways: what sockets (net.hpp) and pipes have in common.
//
// A read goes straight into the caller's buffer; nothing is allocated and nothing is copied. Only
// reading by lines needs a buffer of the stream's own, which is made on first use, and which
// `read_some` drains first: the two may be mixed. A write is one wait, however often the kernel
// takes only a part: the awaiter itself goes on with the rest.
//
// One reader and one writer at a time. Two sends in flight on one socket interleave in the kernel,
// and two reads share out the bytes at random; serialising them in here would hide what is nearly
// always a mistake, so the second one is refused with a sentence. Whoever wants a shared writer
// takes a mutex, or a queue and a task.
//
// What stands behind a stream is counted, and waits hold on to it: a stream may be moved, closed
// and destroyed while another task waits on it.
#pragma once

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <rondo/buffer.hpp>
#include <rondo/operation.hpp>

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

namespace detail {

/// Bytes that were received before anybody asked for them. Empty, and without memory, until first
/// used.
class RONDO_API line_buffer {
public:
    std::size_t size() const noexcept { return end_ - begin_; }
    std::string_view text() const noexcept { return {bytes_.get() + begin_, size()}; }
    /// Room for at least `least` more bytes.
    /// Throws: std::bad_alloc.
    buffer_view room(std::size_t least);
    /// So much of the room has been filled.
    void filled(std::size_t count) noexcept { end_ += count; }
    void drop(std::size_t count) noexcept;

private:
    std::unique_ptr<char[]> bytes_;
    std::size_t capacity_ = 0;
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
};

/// What stands behind a stream.
struct RONDO_API stream_state {
    descriptor fd;
    unsigned holders = 0;
    opcode reads = opcode::recv;
    opcode writes = opcode::send;
    bool reading = false;  // somebody waits to read
    bool writing = false;
    bool torn = false;  // a write ended in the middle: what follows would be out of place
    line_buffer lines;

    explicit stream_state(descriptor d) noexcept : fd(std::move(d)) {}
    virtual ~stream_state();
    stream_state(const stream_state&) = delete;
    stream_state& operator=(const stream_state&) = delete;

    /// Who is on the other side, for errors. Made when it is first needed, and before the
    /// descriptor is gone.
    const char* name() noexcept;
    void close() noexcept;

private:
    virtual std::string make_name() { return {}; }
};

/// Holds on to a stream_state.
template <class State = stream_state>
class held {
public:
    held() noexcept = default;
    explicit held(State* state) noexcept : state_(state) { hold(); }
    held(const held& other) noexcept : state_(other.state_) { hold(); }
    held(held&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
    held& operator=(held other) noexcept {
        std::swap(state_, other.state_);
        return *this;
    }
    ~held() {
        if (state_ != nullptr && --state_->holders == 0) delete state_;
    }
    State* operator->() const noexcept { return state_; }
    State& operator*() const noexcept { return *state_; }
    explicit operator bool() const noexcept { return state_ != nullptr; }

private:
    void hold() noexcept {
        if (state_ != nullptr) ++state_->holders;
    }
    State* state_ = nullptr;
};

/// The awaiter of a read: one operation, or the bytes that are here already.
class RONDO_API read_awaiter : public operation_state {
public:
    read_awaiter(held<> stream, buffer_view into) noexcept;
    ~read_awaiter();
    bool await_ready() noexcept;
    void await_suspend(std::coroutine_handle<> frame, location at = location::current()) noexcept;
    chunk await_resume();

    /// For whoever fills the line buffer: read from the kernel even if something is in it.
    void bypass_lines() noexcept { state |= bypass; }

protected:
    void check();  // throws what the wait itself ends with: cancelled, a second reader
    chunk filled() noexcept;

private:
    friend struct stream_kind;
    static constexpr std::uint32_t bypass = 16, busy = 32, ours = 64;  // beside operation_state's
    void let_go() noexcept;

    held<> stream_;
    buffer_view into_;
};

class RONDO_API read_result_awaiter : public read_awaiter {
public:
    using read_awaiter::read_awaiter;
    rondo::result<chunk> await_resume();
};

/// What read_some gives.
class [[nodiscard("a read does nothing until it is awaited")]] reading : only_in_tasks {
public:
    reading(held<> stream, buffer_view into) noexcept : stream_(std::move(stream)), into_(into) {}
    read_awaiter rondo_awaiter()&& noexcept { return read_awaiter(std::move(stream_), into_); }

private:
    friend class reading_result;
    held<> stream_;
    buffer_view into_;
};

class reading_result : only_in_tasks {
public:
    explicit reading_result(reading&& inner) noexcept : inner_(std::move(inner)) {}
    read_result_awaiter rondo_awaiter() && noexcept {
        return read_result_awaiter(std::move(inner_.stream_), inner_.into_);
    }

private:
    reading inner_;
};

/// The awaiter of a write: goes on by itself until everything has gone.
class RONDO_API write_awaiter : public operation_state {
public:
    ~write_awaiter();
    bool await_ready() noexcept;
    void await_suspend(std::coroutine_handle<> frame, location at = location::current()) noexcept;
    void await_resume();

protected:
    /// On a stream. `message` is room for a msghdr where there are several parts.
    write_awaiter(held<> stream, const_buffer* parts, std::size_t count, void* message) noexcept;
    /// On a file; -1 is the current position.
    write_awaiter(descriptor_record* file, const_buffer* part, std::uint64_t offset) noexcept;
    void count_bytes() noexcept;

private:
    friend struct stream_kind;
    static constexpr std::uint32_t busy = 32, ours = 64,
                                   was_torn = 128;  // beside operation_state's
    static void part_has_gone(operation_state& operation) noexcept;
    void prepare() noexcept;
    void advance(std::size_t count) noexcept;
    void let_go() noexcept;
    [[noreturn]] void fail_with(int error);

    held<> stream_;  // none for a file
    const_buffer* parts_;
    std::size_t count_;
    void* message_;
    std::size_t wanted_ = 0;
    std::size_t left_ = 0;
};

template <std::size_t Count>
class parts_awaiter : public write_awaiter {
public:
    parts_awaiter(held<> stream, const const_buffer (&parts)[Count]) noexcept
        : write_awaiter(std::move(stream), copy_, Count, message_) {
        for (std::size_t i = 0; i < Count; ++i) copy_[i] = parts[i];
        count_bytes();
    }

private:
    const_buffer copy_[Count];
    std::uint64_t message_[Count > 1 ? 7 : 1];  // a msghdr
};

/// What write_all gives.
template <std::size_t Count>
class [[nodiscard("a write does nothing until it is awaited")]] writing : only_in_tasks {
public:
    template <class... Parts>
    explicit writing(held<> stream, const Parts&... parts) noexcept
        : stream_(std::move(stream)), parts_{parts...} {}
    parts_awaiter<Count> rondo_awaiter()&& noexcept {
        return parts_awaiter<Count>(std::move(stream_), parts_);
    }

private:
    held<> stream_;
    const_buffer parts_[Count];
};

RONDO_API task<std::optional<std::string>> read_line(held<> stream, std::size_t limit);

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

    byte_stream(byte_stream&&) noexcept = default;
    byte_stream& operator=(byte_stream&& other) noexcept {
        std::swap(state_, other.state_);
        return *this;
    }

    /// Reads what has arrived, at least one byte, into `into`; what read_line received too much
    /// comes first.
    /// Returns: the filled part; false at the end of the stream.
    /// Throws:  std::system_error; invalid_state_error where another task waits to read.
    /// Cancel:  nothing lost: bytes that came anyway are returned, and the next wait throws.
    /// See:     recv(2), asyncio StreamReader.read.
    detail::reading read_some(buffer_view into) { return {state(), into}; }

    /// Reads a line and strips its "\n" or "\r\n". The last one may lack it.
    /// Returns: empty where the stream has ended and nothing is left.
    /// Throws:  limit_error for a line of more than `limit` bytes, which stay readable;
    ///          std::system_error; invalid_state_error where another task waits to read.
    /// Cancel:  nothing lost: what has come of the line stays in the stream.
    /// See:     asyncio StreamReader.readline.
    task<std::optional<std::string>> read_line(std::size_t limit = line_limit) {
        return detail::read_line(state(), limit);
    }

    /// Writes all of it. Borrowed until the await has ended.
    /// Throws:  write_error, which says how many bytes went; invalid_state_error where another task
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
    detail::held<> state_;
};

}  // namespace v0
}  // namespace rondo
