// SPDX-License-Identifier: MIT
// Receiving without a buffer of the caller's, and without a copy:
//
//     while (auto view = co_await peer.read_view()) co_await peer.write_all(view);
//
// A view is a piece of memory that the loop has lent to the kernel (detail/loop/buffer_pool.hpp)
// and that the kernel has filled. Its destructor gives the memory back. One submission entry brings
// any number of views, because the kernel continues to receive. So a busy server makes one system
// call less for each message, and ten thousand silent connections need no memory to receive into.
//
// Back-pressure: a caller that keeps its views slows the peer down. A stream holds at most
// `view_source::ahead_max` views that were not read yet; then the kernel is told to stop, until
// they are taken. If all buffers of the loop are lent, a stream receives into memory of its own,
// one read at a time, so that no stream waits for other streams to give buffers back.
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

/// Bytes that a stream has received, in the memory that the kernel has filled. Read-only,
/// move-only; the destructor gives the memory back. False at the end of the stream.
/// Thread: the thread of the loop that it came from. It may outlive that loop.
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

    /// Removes the first `count` bytes from the view.
    void drop(std::size_t count) noexcept {
        RONDO_ASSERT(count <= size_, "receive_view::drop: the view has fewer bytes");
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
        std::swap(own_, other.own_);  // `pool_` shares its memory, so it is swapped too
    }
    void give_back() noexcept {
        if (number_ != detail::buffer_pool::none)
            pool_->give_back(number_);
        else
            delete[] own_;
    }

    const char* data_ = nullptr;
    std::uint32_t size_ = 0;
    std::uint16_t number_ = detail::buffer_pool::none;  // in the pool; none: `own_` is used
    union {
        char* own_ = nullptr;
        detail::buffer_pool* pool_;
    };
};
static_assert(sizeof(receive_view) == 24);

namespace detail {

/// Additional state of a stream that is read by views: a multishot receive, and the list of buffers
/// that it has filled.
struct view_source final : background_operation {
    static constexpr unsigned ahead_max = 16;  // views that were not read yet

    explicit view_source(stream_state& of);
    ~view_source();

    /// True if `take` would not wait: bytes, the end or an error is there.
    bool available() const noexcept {
        return first_ != buffer_pool::none || own_size_ != 0 || ended_ || error_ != 0;
    }
    bool armed() const noexcept { return armed_; }

    /// Registers the only waiter. It is woken when something is available.
    void wait(leaf_wait& waiter) noexcept;
    void forget_waiter() noexcept { waiter_ = nullptr; }

    /// The next view; false at the end of the stream.
    /// Throws: std::system_error.
    receive_view take();
    /// Copies bytes that were received ahead into a view.
    static receive_view copy_of(read_buffer& ahead);
    /// Copies a part of the next view. Returns: the number of bytes, 0 at the end, or -errno.
    std::int32_t copy_to(buffer_view into) noexcept;

private:
    static void completed(operation_state& operation) noexcept;
    void received(std::uint32_t size) noexcept;
    void failed(int error) noexcept;
    void arm() noexcept;
    bool arm_own() noexcept;
    std::uint16_t pop() noexcept;

    stream_state* stream_;
    buffer_pool* pool_ = nullptr;  // of the loop that the receive was last armed on
    leaf_wait* waiter_ = nullptr;
    std::unique_ptr<char[]> own_;  // used if the pool has no free buffer
    std::uint32_t own_size_ = 0;   // bytes in it
    std::uint32_t consumed_ = 0;   // bytes taken from the first buffer
    std::uint16_t first_ = buffer_pool::none;
    std::uint16_t last_ = buffer_pool::none;
    std::uint16_t count_ = 0;
    bool ended_ = false;
    bool armed_ = false;
    bool no_picking_ = false;
    bool pausing_ = false;  // the receive was cancelled because `ahead_max` is reached
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
    enum : std::uint32_t { busy = 2, ours = 4, put_off = 8 };
    void let_go() noexcept;
    void run_others_first(std::coroutine_handle<> frame, location at) noexcept;

    held<> stream_;
};

/// Result of read_view; it has to be awaited.
class [[nodiscard("a read does nothing until it is awaited")]] view_awaitable : only_in_tasks {
public:
    explicit view_awaitable(held<> stream) noexcept : stream_(std::move(stream)) {}
    view_awaiter rondo_awaiter()&& { return view_awaiter(std::move(stream_)); }

private:
    held<> stream_;
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
