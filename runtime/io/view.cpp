// SPDX-License-Identifier: MIT
// Reading by views. A background receive fills buffers of the loop's pool. They are linked through
// the pool's notes into a list, which the reader takes from. See view.hpp.
#include <rondo/view.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <string>

#include <rondo/error.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

constexpr std::uint32_t own_buffer_size = 16 * 1024;
constexpr auto source_kind = operation_kind("recv");

}  // namespace

view_source::view_source(stream_state& of)
    : background_operation(source_kind, of.fd.record(), {}),
      stream_(&of) {
    on_completion = completed;
}

view_source::~view_source() {
    while (first_ != buffer_pool::none) pool_->give_back(pop());
}

std::uint16_t view_source::pop() noexcept {
    const std::uint16_t number = first_;
    first_ = pool_->note(number).next;
    --count_;
    consumed_ = 0;
    return number;
}

void view_source::wait(leaf_wait& waiter) noexcept {
    waiter_ = &waiter;
    if (!armed_) arm();
}

// -- the receive ----------------------------------------------------------------------------------

/// Begins a receive; a multishot one if the kernel has it for this kind of descriptor.
void view_source::arm() noexcept {
    const bool socket = stream_->reads == opcode::recv;
    request = {};
    request.code = stream_->reads;
    if (!socket) request.offset = ~std::uint64_t{0};
    pool_ = no_picking_ ? nullptr : buffer_pool::of_running_loop();
    if (pool_ != nullptr && !pool_->exhausted()) {
        request.flags = entry_pick_buffer;
        if (socket)
            request.ioprio = receive_multishot;
        else
            request.length = static_cast<std::uint32_t>(pool_->buffer_size());
    } else if (!arm_own()) {
        error_ = ENOMEM;
        return wake(*std::exchange(waiter_, nullptr));
    }
    armed_ = true;
    ++stream_->holders;
    begin_background(*this);
}

bool view_source::arm_own() noexcept {
    if (!own_) own_.reset(new (std::nothrow) char[own_buffer_size]);
    request.address = address_of(own_.get());
    request.length = own_buffer_size;
    return own_ != nullptr;
}

void view_source::completed(operation_state& operation) noexcept {
    auto& self = static_cast<view_source&>(operation);
    const held<> hold(self.stream_);  // `self` is a part of the stream, which may have been dropped
    if ((self.flags & completion_more) == 0) {
        self.armed_ = false;
        --self.stream_->holders;
    }
    if (self.result > 0)
        self.received(static_cast<std::uint32_t>(self.result));
    else if (const std::int32_t end = self.stream_->received(self.result); end == 0)
        self.ended_ = true;
    else
        self.failed(-end);
    if (self.waiter_ != nullptr && self.available())
        wake(*std::exchange(self.waiter_, nullptr));
    else if (self.waiter_ != nullptr && !self.armed_)
        self.arm();
    if (self.armed_ && self.count_ >= ahead_max && !self.pausing_) {
        self.pausing_ = true;
        cancel_operation(self);
    }
    if (!self.armed_) self.pausing_ = false;
}

void view_source::received(std::uint32_t size) noexcept {
    if ((flags & completion_buffer) == 0) {
        own_size_ = size;
        return;
    }
    const std::uint16_t number = buffer_of(flags);
    pool_->took(number);
    pool_->note(number) = {size, buffer_pool::none};
    (first_ == buffer_pool::none ? first_ : pool_->note(last_).next) = number;
    last_ = number;
    ++count_;
}

void view_source::failed(int error) noexcept {
    if (error == ENOBUFS) return;  // the next receive checks whether a buffer is free
    // A pause, or the end of the loop that it was armed on. The next read begins a new receive.
    if (error == ECANCELED && stream_->fd.is_open()) return;
    if (error == EINVAL && (request.flags & entry_pick_buffer) != 0)
        no_picking_ = true;  // not supported for this kind of descriptor: receive without
    else
        error_ = error;
}

// -- taking ---------------------------------------------------------------------------------------

receive_view view_source::take() {
    if (first_ != buffer_pool::none) {
        const std::uint32_t skip = consumed_;
        const std::uint16_t number = pop();
        return {pool_->data(number) + skip, pool_->note(number).size - skip, *pool_, number};
    }
    if (own_size_ != 0) {
        receive_view view(std::move(own_), std::exchange(own_size_, 0));
        view.drop(std::exchange(consumed_, 0));
        return view;
    }
    if (error_ == EBADF && !stream_->fd.is_open()) throw_closed("recv", *stream_);
    if (error_ != 0) throw_system_error(std::exchange(error_, 0), "recv", stream_->name());
    return {};
}

std::int32_t view_source::copy_to(buffer_view into) noexcept {
    const bool pooled = first_ != buffer_pool::none;
    if (!pooled && own_size_ == 0) return -std::exchange(error_, 0);
    const char* from = pooled ? pool_->data(first_) : own_.get();
    const std::uint32_t size = pooled ? pool_->note(first_).size : own_size_;
    const std::size_t count = std::min<std::size_t>(size - consumed_, into.size());
    std::memcpy(into.data(), from + consumed_, count);
    consumed_ += static_cast<std::uint32_t>(count);
    if (consumed_ == size) {
        if (pooled)
            pool_->give_back(pop());
        else
            own_size_ = consumed_ = 0;
    }
    return static_cast<std::int32_t>(count);
}

// -- the awaiter ----------------------------------------------------------------------------------

struct view_kind {
    static void leave(leaf_wait& wait) noexcept {
        auto& self = static_cast<view_awaiter&>(wait);
        if (self.is_refused()) return;
        self.state |= view_awaiter::refused;
        self.stream_->views->forget_waiter();
        detail::wake(wait);
    }
    static const char* object(const leaf_wait& wait) {
        return static_cast<const view_awaiter&>(wait).stream_->name();
    }
    static constexpr wait_kind recv{"recv", leave, object};
};

view_awaiter::view_awaiter(held<> stream) : leaf_wait(view_kind::recv), stream_(std::move(stream)) {
    if (stream_->views == nullptr) stream_->views = new view_source(*stream_);
}

view_awaiter::~view_awaiter() { let_go(); }

void view_awaiter::let_go() noexcept {
    if ((state & ours) != 0) stream_->reading = false;
    state &= ~std::uint32_t(ours);
}

bool view_awaiter::await_ready() noexcept {
    if (is_cancelled())
        state |= refused;
    else if (stream_->reading)
        state |= busy;
    if (state != 0) return (state & busy) != 0 || may_go_on();
    if (stream_->ahead.empty() && !stream_->views->available()) return false;
    if (may_go_on()) return true;
    state |= put_off;
    return false;
}

/// Suspends a wait that is ready or refused, since many in a row were, so that other tasks run.
void view_awaiter::run_others_first(std::coroutine_handle<> frame, location at) noexcept {
    park(*this, frame, at);
    if (is_refused()) return requeue(*this);
    stream_->reading = true;
    state |= ours;
    detail::wake(*this);
}

void view_awaiter::await_suspend(std::coroutine_handle<> frame, location at) noexcept {
    if (state != 0) return run_others_first(frame, at);
    stream_->reading = true;
    state |= ours;
    park(*this, frame, at);
    stream_->views->wait(*this);
}

receive_view view_awaiter::await_resume() {
    let_go();
    if (is_refused()) throw cancelled();
    if ((state & busy) != 0) throw_second_reader("recv", *stream_);
    if (is_cancelled() && has_lost_race()) throw cancelled();
    if (!stream_->ahead.empty()) return view_source::copy_of(stream_->ahead);
    return stream_->views->take();
}

receive_view view_source::copy_of(read_buffer& ahead) {
    const auto size = std::min<std::size_t>(ahead.size(), 1u << 30);
    std::unique_ptr<char[]> memory(new char[size]);
    ahead.take({memory.get(), size});
    return {std::move(memory), static_cast<std::uint32_t>(size)};
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
