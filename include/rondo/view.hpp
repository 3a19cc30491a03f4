// SPDX-License-Identifier: MIT
// Receiving without a buffer of one's own, and without a copy:
//
//     while (auto view = co_await peer.read_view()) co_await peer.write_all(view);
//
// A view is a piece of memory that the loop has lent to the kernel (detail/loop/buffer_pool.hpp), filled
// with what has come; its destructor gives it back. One submission entry brings any number of them:
// the kernel goes on receiving, so a busy server makes one system call less for each message, and
// ten thousand connections that are silent need no memory to receive into.
//
// Back-pressure is not giving back. A stream has at most `view_source::ahead_max` views that nobody
// has asked for; then the kernel is told to stop, until they are taken. Where all buffers of the loop are out
// a stream receives into memory of its own, one read at a time, so that nobody waits for others to
// give back.
#pragma once

#include <rondo/config.hpp>

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

#include <rondo/detail/loop/buffer_pool.hpp>
#include <rondo/detail/io/stream_io.hpp>

namespace rondo {
inline namespace v0 {

/// Bytes that a stream has received, where the kernel has put them: read-only, move-only; the
/// destructor gives the memory back. False at the end of the stream.
/// Thread: the one of the loop that it came from, which it may outlive.
class RONDO_API receive_view {
public:
    /// The end of the stream.
    receive_view() noexcept = default;
    receive_view(receive_view&& other) noexcept { swap(other); }
    receive_view& operator=(receive_view&& other) noexcept {
        receive_view old(std::move(*this));
        swap(other);
        return *this;
    }
    ~receive_view() {
        if (data_ != nullptr) give_back();
    }

    explicit operator bool() const noexcept { return data_ != nullptr; }
    const char* data() const noexcept { return data_; }
    std::size_t size() const noexcept { return size_; }
    bool empty() const noexcept { return size_ == 0; }
    const char* begin() const noexcept { return data_; }
    const char* end() const noexcept { return data_ + size_; }
    std::string_view text() const noexcept { return {data_, size_}; }

    /// Leaves the first `count` bytes out.
    void drop(std::size_t count) noexcept {
        RONDO_ASSERT(count <= size_, "receive_view::drop was asked for too much");
        data_ += count;
        size_ -= static_cast<std::uint32_t>(count);
    }

private:
    friend struct detail::view_source;
    receive_view(char* data, std::uint32_t size, detail::buffer_pool& pool,
                 std::uint16_t number) noexcept
        : data_(data), size_(size), number_(number), pool_(&pool) {}
    receive_view(std::unique_ptr<char[]> memory, std::uint32_t size) noexcept
        : data_(memory.get()), size_(size), own_(memory.release()) {}
    void swap(receive_view& other) noexcept {
        std::swap(data_, other.data_);
        std::swap(size_, other.size_);
        std::swap(number_, other.number_);
        std::swap(own_, other.own_);  // the other member lies in the same place
    }
    void give_back() noexcept {
        if (number_ != detail::buffer_pool::none)
            pool_->give_back(number_);
        else
            delete[] own_;
    }

    const char* data_ = nullptr;
    std::uint32_t size_ = 0;
    std::uint16_t number_ = detail::buffer_pool::none;  // in the pool; none: `own_`
    union {
        char* own_ = nullptr;
        detail::buffer_pool* pool_;
    };
};
static_assert(sizeof(receive_view) == 24);

namespace detail {

/// What a stream that is read by views has beside its state: the receive that goes on by itself,
/// and the line of buffers that it has filled.
struct view_source final : background_operation {
    static constexpr unsigned ahead_max = 16;  // views that nobody has asked for yet

    explicit view_source(stream_state& of);
    ~view_source();

    /// Is there something to be had without waiting: bytes, the end, an error?
    bool available() const noexcept {
        return first_ != buffer_pool::none || own_size_ != 0 || ended_ || error_ != 0;
    }
    bool armed() const noexcept { return armed_; }

    /// Whoever waits, at most one, is made ready once something is available.
    void wait(leaf_wait& waiter) noexcept;
    void forget_waiter() noexcept { waiter_ = nullptr; }

    /// The next view; false at the end.
    /// Throws: std::system_error.
    receive_view take();
    /// Bytes that were received ahead, as a view.
    static receive_view copy_of(read_buffer& ahead);
    /// A part of the next one. Returns: how many bytes, 0 at the end, or -errno.
    std::int32_t copy_to(buffer_view into) noexcept;

private:
    static void completed(operation_state& operation) noexcept;
    void received(std::uint32_t size) noexcept;
    void failed(int error) noexcept;
    void arm() noexcept;
    bool arm_own() noexcept;
    std::uint16_t pop() noexcept;

    stream_state* stream_;
    buffer_pool* pool_ = nullptr;  // of the loop that it was last armed on
    leaf_wait* waiter_ = nullptr;
    std::unique_ptr<char[]> own_;  // where no buffer of the pool is to be had
    std::uint32_t own_size_ = 0;   // bytes in it
    std::uint32_t consumed_ = 0;   // of the first
    std::uint16_t first_ = buffer_pool::none;
    std::uint16_t last_ = buffer_pool::none;
    std::uint16_t count_ = 0;
    bool ended_ = false;
    bool armed_ = false;
    bool no_picking_ = false;
    bool pausing_ = false;  // cancelled, because there is enough
    int error_ = 0;
};

/// The awaiter of read_view.
class RONDO_API view_awaiter : public leaf_wait {
public:
    explicit view_awaiter(held<> stream);
    ~view_awaiter();
    bool await_ready() noexcept;
    void await_suspend(std::coroutine_handle<> frame, location at = location::current()) noexcept;
    receive_view await_resume();

private:
    friend struct view_kind;
    enum : std::uint32_t { refused = 1, busy = 2, ours = 4, put_off = 8 };
    void let_go() noexcept;
    void run_others_first(std::coroutine_handle<> frame, location at) noexcept;

    held<> stream_;
};

/// What read_view gives.
class [[nodiscard("a read does nothing until it is awaited")]] viewing : only_in_tasks {
public:
    explicit viewing(held<> stream) noexcept : stream_(std::move(stream)) {}
    view_awaiter rondo_awaiter()&& { return view_awaiter(std::move(stream_)); }

private:
    held<> stream_;
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
