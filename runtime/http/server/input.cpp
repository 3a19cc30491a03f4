// SPDX-License-Identifier: MIT
#include "http/server/input.hpp"

#include <algorithm>
#include <utility>

#include <rondo/error.hpp>
#include <rondo/sleep.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

constexpr auto arrived_kind = wait_queue::kind("bytes of an HTTP client");
constexpr auto released_kind = wait_queue::kind("a buffer to be taken");
constexpr std::size_t small_input = 1024;  // of an idle connection
constexpr std::size_t large_input = std::size_t{64} * 1024;
constexpr std::size_t growth = 16;

void pass_nothing_on(void*) noexcept {}  // a single waiter each

}  // namespace

void http_input::release(bool is_quiet) noexcept {
    if (!std::exchange(is_lent_, false)) return;
    is_quiet_ = is_quiet;
    unread = {};
    released_.unpark_one();
}

parking_awaitable http_input::wait() noexcept {
    return arrived_.park(arrived_kind, pass_nothing_on, nullptr);
}

void http_input::stop() noexcept {
    stopped_ = true;
    arrived_.unpark_one();
}

task<> http_input::read_all(void (*on_end)(void*) noexcept, void* context) {
    try {
        co_await read_pieces();
    } catch (const std::exception&) {  // of the connection: TLS was cut, a reset
        lost_ = true;
    }
    ended_ = true;
    arrived_.unpark_one();
    on_end(context);
}

task<> http_input::read_pieces() {
    byte_stream* const direct = from_.direct();
    for (;;) {
        while (is_lent_) co_await released_.park(released_kind, pass_nothing_on, nullptr);
        if (direct != nullptr) {
            view_ = {};
            view_ = co_await direct->read_view();
            unread = view_.text();
        } else {
            co_await read_buffer();
        }
        if (unread.data() == nullptr) co_return;
        is_lent_ = true;
        arrived_.unpark_one();
    }
}

/// If a read fills the buffer, a larger one takes its place until the connection is quiet.
task<> http_input::read_buffer() {
    if (is_quiet_ && buffer_size_ != small_input) {
        buffer_.reset(new char[small_input]);
        buffer_size_ = small_input;
    }
    const buffer_view room(buffer_.get(), buffer_size_);
    const chunk came = co_await from_.read_some(room);
    unread = came ? std::string_view(came.text()) : std::string_view();
    if (came.size() != buffer_size_ || buffer_size_ == large_input) co_return;
    const std::size_t size = std::min(growth * buffer_size_, large_input);
    std::unique_ptr<char[]> larger(new char[size]);
    std::copy(came.begin(), came.end(), larger.get());
    unread = {larger.get(), came.size()};
    buffer_ = std::move(larger);
    buffer_size_ = size;
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
