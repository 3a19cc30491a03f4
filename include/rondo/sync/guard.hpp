// SPDX-License-Identifier: MIT
// The guard of a held lock, and the texts that describe a primitive's holder and waiters.
//
// A guard is one pointer, move-only, and unlocks in its destructor. A lock remembers its holder as
// the address of a task, and that task may have ended since. So before the address is dereferenced,
// the tree of scopes, which lists all tasks, is searched for it. (A new task at the address of an
// ended holder is mistaken for the holder.) Counting references instead would cost two writes to
// another cache line per lock and unlock, for a text that is read once in a debugging session.
#pragma once

#include <string>
#include <utility>

#include <rondo/wait_queue.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

/// "task \"name\"" or "the task created at FILE:LINE". There are texts for null and for a task that
/// has ended, too.
RONDO_API std::string holder_text(const task_record* holder);

/// " and N wait", or an empty text if there are no waiters.
RONDO_API std::string waiters_text(const wait_queue& queue);

/// Stores `text` until the next call on this thread: the return value of wait_kind::object.
RONDO_API const char* keep_text(std::string text);

/// Holds a lock until `unlock` or its destructor. A moved-from guard, and the guard of a failed
/// try_lock, hold nothing.
/// Thread: its loop's.
/// See:    std::unique_lock; asyncio's `async with lock:`.
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

    /// Unlocks now instead of in the destructor.
    void unlock() noexcept {
        RONDO_ASSERT(lock_ != nullptr, "unlock() on a guard that holds no lock");
        (std::exchange(lock_, nullptr)->*Release)();
    }

    /// True if it holds a lock.
    bool owns_lock() const noexcept { return lock_ != nullptr; }
    explicit operator bool() const noexcept { return lock_ != nullptr; }
    /// The lock that it holds, or null.
    Lock* owner() const noexcept { return lock_; }

private:
    friend Lock;
    explicit guard(Lock* lock) noexcept : lock_(lock) {}

    Lock* lock_ = nullptr;
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
