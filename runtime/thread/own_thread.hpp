// SPDX-License-Identifier: MIT
// Identifies rondo's threads (pool workers and rondo::thread), and detects a thread that waits for
// itself.
//
// Each wait that blocks a thread without a limit is announced here, together with what it waits
// for. If only this thread could end the wait, or only threads that all wait in this way, the wait
// throws deadlock_error instead. A thread that is about to join a pool or a rondo::thread is
// checked here too.
#pragma once

#include <rondo/loop.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

/// A blocking wait of a thread; on the stack of that thread.
class blocking {
public:
    /// True if the wait is not over and cannot end unless `what` makes progress; see
    /// thread_core::depends_on.
    virtual bool depends_on(const void* what) const noexcept = 0;

protected:
    ~blocking() = default;
};

/// The pool or the rondo::thread to which a thread belongs.
class thread_host {
public:
    virtual const void* identity() const noexcept = 0;
    /// Called when the thread is about to block without a limit. Throws: deadlock_error if nothing
    /// could end the wait.
    virtual void begin_block(const blocking& on) = 0;
    virtual void end_block() noexcept = 0;

    /// The host of this thread; null on a thread that rondo did not start.
    static thread_host*& of_this_thread() noexcept;

protected:
    ~thread_host() = default;
};

/// True if this thread belongs to that pool or rondo::thread.
bool this_thread_belongs_to(const void* identity) noexcept;

/// The identity (remote::identity) of the loop in whose turn this thread is; null outside of a
/// turn.
const void* loop_of_this_thread() noexcept;

/// Announces for its lifetime that this thread blocks. A wait with a limit is not announced,
/// because it ends.
class blocking_scope {
public:
    /// Throws: deadlock_error.
    blocking_scope(const blocking& on, bool for_ever);
    ~blocking_scope() {
        if (host_ != nullptr) host_->end_block();
    }
    blocking_scope(const blocking_scope&) = delete;
    blocking_scope& operator=(const blocking_scope&) = delete;

private:
    thread_host* host_ = nullptr;
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
