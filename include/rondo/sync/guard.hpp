// SPDX-License-Identifier: MIT
// What a lock gives to the one who holds it, and how a primitive says who that is.
//
// A guard is one pointer, moved and never copied, and gives back in its destructor. Who holds is
// remembered as the address of a task that may have ended since; so the address is not looked into
// before the tree of scopes, which is the list of all tasks, has said that it is one of them. (A
// task that came to be at the address of one that ended as the holder is taken for it.) Counting
// references instead would cost every lock and every unlock two writes to another cache line, for
// the sake of a text that is asked for once in a debugging session.
#pragma once

#include <string>
#include <utility>

#include <rondo/wait_queue.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

/// "task \"name\"" or "the task created at FILE:LINE". Null, and a task that has ended, have words
/// too.
RONDO_API std::string holder_text(const task_record* holder);

/// " and N wait", or nothing where nobody does.
RONDO_API std::string waiters_text(const wait_queue& queue);

/// `text` until the next one of this thread is kept: what wait_kind::object returns.
RONDO_API const char* keep_text(std::string text);

/// A lock that is held, until `unlock` or the end of its life. One that was moved from holds
/// nothing, nor does what a try_lock gives in vain.
/// Thread: its loop's.
/// See:    std::unique_lock; the `async with lock:` of asyncio.
template <class Lock, void (Lock::*Release)() noexcept>
class [[nodiscard("a guard that is dropped unlocks at once")]] guard {
public:
    guard() noexcept = default;
    guard(guard&& other) noexcept : lock_(std::exchange(other.lock_, nullptr)) {}
    guard& operator=(guard&& other) noexcept {
        guard old(std::exchange(lock_, std::exchange(other.lock_, nullptr)));
        return *this;
    }
    ~guard() {
        if (lock_ != nullptr) (lock_->*Release)();
    }

    /// Unlocks before the end of its life.
    void unlock() noexcept {
        RONDO_ASSERT(lock_ != nullptr, "a guard that holds nothing was told to unlock");
        (std::exchange(lock_, nullptr)->*Release)();
    }

    /// Does it hold a lock?
    bool owns_lock() const noexcept { return lock_ != nullptr; }
    /// The same.
    explicit operator bool() const noexcept { return lock_ != nullptr; }
    /// What it holds, or null.
    Lock* owner() const noexcept { return lock_; }

private:
    friend Lock;
    explicit guard(Lock* lock) noexcept : lock_(lock) {}

    Lock* lock_ = nullptr;
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
