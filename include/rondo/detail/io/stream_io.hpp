// SPDX-License-Identifier: MIT
// The state behind a stream of the kernel, and the waits on it. A read is exactly one operation. A
// write is one wait, however many operations the kernel needs for it.
//
// The state is reference-counted, and each wait holds a reference. So a stream may be moved, closed
// and destroyed while another task waits on it.
#pragma once

#include <rondo/config.hpp>

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include <rondo/buffer.hpp>
#include <rondo/detail/base/read_buffer.hpp>
#include <rondo/operation.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

struct view_source;

/// State behind a stream; streams of one kind (TCP, Unix) derive from it.
struct RONDO_API stream_state {
    descriptor fd;
    unsigned holders = 0;
    opcode reads = opcode::recv;
    opcode writes = opcode::send;
    bool reading = false;  // a task waits to read
    bool writing = false;
    bool torn = false;  // a write ended in its middle: further bytes would be out of place
    int lost = 0;       // errno of the lost connection
    view_source* views = nullptr;  // made when the stream is first read by views
    read_buffer ahead;

    explicit stream_state(descriptor d) noexcept : fd(std::move(d)) {}
    virtual ~stream_state();
    stream_state(const stream_state&) = delete;
    stream_state& operator=(const stream_state&) = delete;

    /// Name of the peer, for errors. It is made on first use, and before the descriptor is closed.
    const char* name() noexcept;
    void close() noexcept;

    /// The kernel reports a lost connection once, to a read or to a write; later reads give the end
    /// of the stream. `received` returns a read's result, with such an end replaced by that error.
    std::int32_t received(std::int32_t result) noexcept;
    void failed(int error) noexcept;

private:
    virtual std::string make_name() { return {}; }
};

[[noreturn]] RONDO_API void throw_second_reader(const char* verb, stream_state& stream);
/// Throws closed_error: the stream was closed before this operation.
[[noreturn]] void throw_closed(const char* verb, stream_state& stream);
[[noreturn]] void throw_second_writer(const char* verb, stream_state& stream);
[[noreturn]] void throw_torn(const char* verb, stream_state& stream);

/// A counted reference to a stream_state.
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

/// Awaiter of a read: one operation, or the bytes that were received ahead.
class RONDO_API read_awaiter : public operation_state {
public:
    read_awaiter(held<> stream, buffer_view into) noexcept;
    ~read_awaiter();
    bool await_ready() noexcept;
    void await_suspend(std::coroutine_handle<> frame, location at = location::current()) noexcept;
    chunk await_resume();

    /// Reads from the kernel even if the read buffer holds bytes, in order to fill that buffer.
    void bypass_ahead() noexcept { state |= bypass; }

protected:
    void check();  // throws if nothing is taken: cancelled, a lost race, a second reader
    chunk filled() noexcept;
    bool has_come() const noexcept;
    void finish() noexcept;  // handles a result that is not positive

private:
    friend struct stream_kind;
    static constexpr std::uint32_t bypass = 16, busy = 32, ours = 64, on_views = 128,
                                   put_off = 256;  // further bits of operation_state::state
    void let_go() noexcept;
    void run_others_first(std::coroutine_handle<> frame, location at) noexcept;
    void read_at_position() noexcept;
    void leave_to_next_read();

    held<> stream_;
    buffer_view into_;
};

class RONDO_API read_result_awaiter : public read_awaiter {
public:
    using read_awaiter::read_awaiter;
    rondo::result<chunk> await_resume();
};

/// Result of read_some; it has to be awaited.
class [[nodiscard("a read does nothing until it is awaited")]] read_awaitable : only_in_tasks {
public:
    read_awaitable(held<> stream, buffer_view into) noexcept
        : stream_(std::move(stream)), into_(into) {}
    read_awaiter rondo_awaiter()&& noexcept { return read_awaiter(std::move(stream_), into_); }

private:
    friend class read_result_awaitable;
    held<> stream_;
    buffer_view into_;
};

class read_result_awaitable : only_in_tasks {
public:
    explicit read_result_awaitable(read_awaitable&& inner) noexcept : inner_(std::move(inner)) {}
    read_result_awaiter rondo_awaiter() && noexcept {
        return read_result_awaiter(std::move(inner_.stream_), inner_.into_);
    }

private:
    read_awaitable inner_;
};

/// Awaiter of a write: begins operations until all bytes have been sent.
class RONDO_API write_awaiter : public operation_state {
public:
    ~write_awaiter();
    bool await_ready() noexcept;
    void await_suspend(std::coroutine_handle<> frame, location at = location::current()) noexcept;
    void await_resume();

protected:
    /// On a stream. `message` is memory for a msghdr if there are several parts.
    write_awaiter(held<> stream, const_buffer* parts, std::size_t count, void* message) noexcept;
    /// On a file; offset -1 is the current position.
    write_awaiter(descriptor_record* file, const_buffer* parts, std::size_t count,
                  std::uint64_t offset) noexcept;
    void count_bytes() noexcept;

private:
    friend struct stream_kind;
    static constexpr std::uint32_t busy = 32, ours = 64, was_torn = 128,
                                   put_off = 256;  // further bits of operation_state::state
    void run_others_first(std::coroutine_handle<> frame, location at) noexcept;
    static void part_sent(operation_state& operation) noexcept;
    void prepare() noexcept;
    void advance(std::size_t count) noexcept;
    bool at_position() const noexcept;
    void let_go() noexcept;
    [[noreturn]] void fail_with(int error);

    held<> stream_;  // empty for a file
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

/// Result of write_all; it has to be awaited.
template <std::size_t Count>
class [[nodiscard("a write does nothing until it is awaited")]] write_awaitable : only_in_tasks {
public:
    template <class... Parts>
    explicit write_awaitable(held<> stream, const Parts&... parts) noexcept
        : stream_(std::move(stream)), parts_{parts...} {}
    parts_awaiter<Count> rondo_awaiter()&& noexcept {
        return parts_awaiter<Count>(std::move(stream_), parts_);
    }

private:
    held<> stream_;
    const_buffer parts_[Count];
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
