// SPDX-License-Identifier: MIT
// Threads of ours (the workers of pools, and `thread`s), and the deadlock of a thread that waits for itself.
//
// Each wait that blocks a thread without a limit is announced here, with what it blocks on. If only the thread itself
// could end the wait, or only threads that all wait so, the wait throws deadlock_error instead. A thread that is about
// to join a pool or a `thread` asks here too.
#pragma once

#include <rondo/loop.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

/// What a thread blocks on; it lives on the stack of that thread.
class blocking {
public:
    /// Is it still to come, and can it not come unless `what` goes on? See thread_core::hangs_on.
    virtual bool hangs_on(const void* what) const noexcept = 0;

protected:
    ~blocking() = default;
};

/// The pool or the `thread` to which a thread belongs.
class thread_host {
public:
    virtual const void* identity() const noexcept = 0;
    /// The thread is about to block without a limit. Throws: deadlock_error if nothing could end that.
    virtual void will_block(const blocking& on) = 0;
    virtual void has_blocked() noexcept = 0;

    /// Null on a thread that is not ours.
    static thread_host*& of_this_thread() noexcept;

protected:
    ~thread_host() = default;
};

/// Does this thread belong to that pool or `thread`?
bool this_thread_belongs_to(const void* identity) noexcept;

/// Names the loop in whose turn this thread is, as remote::identity does; null outside of a turn.
const void* loop_of_this_thread() noexcept;

/// Announces, while it lives, that this thread blocks. A wait with a limit is not announced: it ends.
class block_announced {
public:
    /// Throws: deadlock_error.
    block_announced(const blocking& on, bool for_ever);
    ~block_announced() {
        if (host_ != nullptr) host_->has_blocked();
    }
    block_announced(const block_announced&) = delete;
    block_announced& operator=(const block_announced&) = delete;

private:
    thread_host* host_ = nullptr;
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
