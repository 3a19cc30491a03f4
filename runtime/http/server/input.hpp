// SPDX-License-Identifier: MIT
// The receiving half of a server's connection. A task of its own reads, so that the end of the
// connection is noticed while a handler works. It reads a piece only when the one before was given
// back: a client that sends on and on fills the kernel's buffers, not ours.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

#include <rondo/detail/http/server_stream.hpp>
#include <rondo/view.hpp>
#include <rondo/wait_queue.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

class http_input {
public:
    explicit http_input(http_server_stream& from) noexcept : from_(from) {}

    /// Bytes that have come and were not taken. Take them by remove_prefix.
    std::string_view unread;

    /// True when nothing follows `unread`: the peer has ended its direction, or the connection is
    /// lost.
    bool has_ended() const noexcept { return ended_; }
    bool is_lost() const noexcept { return lost_; }

    /// Gives the piece back, so that the next one is read. Views of it end. `is_quiet`: it may be
    /// long until that comes, so the wait for it takes little memory.
    void release(bool is_quiet = false) noexcept;

    /// True if `wait` would not: there are bytes, the end, or the wait was ended.
    bool is_ready() const noexcept { return !unread.empty() || ended_ || stopped_; }
    /// Waits until is_ready(). The piece must have been released. For one task at a time.
    parking_awaitable wait() noexcept;
    bool is_waited_for() const noexcept { return !arrived_.empty(); }
    /// Ends the wait, now or when it begins, until resume().
    void stop() noexcept;
    bool is_stopped() const noexcept { return stopped_; }
    void resume() noexcept { stopped_ = false; }

    /// Body of the task that reads. `on_end(context)` is called after the end has come.
    task<> read_all(void (*on_end)(void*) noexcept, void* context);

private:
    task<> read_pieces();
    task<> read_buffer();

    http_server_stream& from_;
    receive_view view_;
    std::unique_ptr<char[]> buffer_;  // of a stream that is not the kernel's
    std::size_t buffer_size_ = 0;
    wait_queue arrived_;
    wait_queue released_;
    bool is_lent_ = false;  // a piece is out
    bool is_quiet_ = true;  // the next piece may be far away
    bool ended_ = false;
    bool lost_ = false;
    bool stopped_ = false;
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
