// SPDX-License-Identifier: MIT
// Mutual exclusion between tasks of one loop.
//
// Between two awaits a task is alone anyway; a mutex is for state that must stay consistent across
// an await. Unlocking hands the mutex to the longest waiter, so it is never free while tasks wait,
// and no task overtakes. The alternative, to free it and wake the first waiter, lets a task that
// runs in between take it again and again.
//
// The uncontended paths are inline: a flag, the holder's address, and a check for an empty list.
#pragma once

#include <cstddef>
#include <string>

#include <rondo/sync/guard.hpp>

namespace rondo {
inline namespace v0 {

namespace detail {
class mutex_wait;
class recursive_mutex_wait;
class condition_wait;
}  // namespace detail

/// Admits one task at a time, in the order of their requests. Not recursive: a task that locks it
/// twice deadlocks.
/// Thread: its loop's.
/// See:    asyncio.Lock, trio.StrictFIFOLock.
class RONDO_API mutex {
    void release() noexcept {
        if (line_.empty()) [[likely]]
            locked_ = false;
        else
            hand_over();
    }

public:
    using guard = detail::guard<mutex, &mutex::release>;

    mutex() noexcept = default;
    mutex(const mutex&) = delete;
    mutex& operator=(const mutex&) = delete;
    ~mutex() { RONDO_ASSERT(!locked_, "a mutex was destroyed while it is locked"); }

    /// `auto guard = co_await m.lock();` waits until the mutex is handed to this task.
    /// Cancel: leaves the line. A task that was handed the mutex and has not run since hands it on.
    detail::waiting_for<detail::mutex_wait, mutex> lock() noexcept;

    /// Locks without waiting; the guard is false if the mutex is locked.
    guard try_lock() noexcept { return guard(take(detail::here.current) ? this : nullptr); }

    bool locked() const noexcept { return locked_; }
    /// The number of waiters.
    std::size_t waiting() const noexcept { return line_.size(); }
    /// A text for diagnostics: "a mutex held by task \"writer\" and 2 wait".
    std::string describe() const;

private:
    friend class detail::mutex_wait;
    friend class detail::recursive_mutex_wait;
    friend class detail::condition_wait;
    friend class recursive_mutex;
    friend class condition;

    bool take(const detail::task_record* task) noexcept {
        if (locked_) return false;
        locked_ = true;
        holder_ = task;
        return true;
    }
    guard adopt() noexcept { return guard(this); }
    void hand_over() noexcept;
    std::string state() const;

    wait_queue line_;
    // Valid while locked_; null if the mutex was locked outside of any task.
    const detail::task_record* holder_ = nullptr;
    bool locked_ = false;
};

/// A mutex that its holder may lock again; it is free when the last guard is gone. It belongs to
/// the task: a guard may be moved within that task, but not to another task.
/// Thread: its loop's; only in tasks.
/// See:    threading.RLock.
class RONDO_API recursive_mutex {
    void release() noexcept {
        RONDO_ASSERT(mine() || detail::here.current == nullptr,
                     "a recursive mutex was unlocked by a task that does not hold it");
        if (--depth_ == 0) lock_.release();
    }

public:
    using guard = detail::guard<recursive_mutex, &recursive_mutex::release>;

    recursive_mutex() noexcept = default;

    /// `auto guard = co_await m.lock();` waits for the mutex; returns at once if this task already
    /// holds it.
    /// Cancel: the same as mutex::lock.
    detail::waiting_for<detail::recursive_mutex_wait, recursive_mutex> lock() noexcept;

    /// Locks without waiting; the guard is false if another task holds the mutex.
    guard try_lock() noexcept;

    bool locked() const noexcept { return lock_.locked(); }
    /// The number of guards that the holder has; 0 if it is free.
    std::size_t depth() const noexcept { return depth_; }
    /// The number of waiters.
    std::size_t waiting() const noexcept { return lock_.waiting(); }
    /// A text for diagnostics: "a recursive mutex held by task \"writer\", 3 deep and 2 wait".
    std::string describe() const;

private:
    friend class detail::recursive_mutex_wait;

    bool mine() const noexcept { return depth_ > 0 && lock_.holder_ == detail::here.current; }
    bool take() noexcept { return mine() || lock_.take(detail::here.current); }
    guard enter() noexcept {
        ++depth_;
        return guard(this);
    }
    std::string state() const;

    mutex lock_;
    std::size_t depth_ = 0;
};

namespace detail {

/// The awaiter of mutex::lock.
class RONDO_API mutex_wait : public queue_wait {
public:
    static constexpr bool can_be_asked = true;  // see select.hpp
    explicit mutex_wait(mutex& m) noexcept : queue_wait(kind_, m.line_), mutex_(&m) {}
    bool await_ready() noexcept {
        return is_cancelled() ? cancel_at_start() : (mutex_->take(here.current) && acquired());
    }
    mutex::guard await_resume() {
        finish([this] { mutex_->release(); });
        return mutex_->adopt();
    }

private:
    static const wait_kind kind_;
    static const char* object(const leaf_wait& wait);
    mutex* mutex_;
};

/// The awaiter of recursive_mutex::lock.
class RONDO_API recursive_mutex_wait : public queue_wait {
public:
    static constexpr bool can_be_asked = true;  // see select.hpp
    explicit recursive_mutex_wait(recursive_mutex& m) noexcept
        : queue_wait(kind_, m.lock_.line_), mutex_(&m) {}
    bool await_ready() noexcept {
        return is_cancelled() ? cancel_at_start() : (mutex_->take() && acquired());
    }
    recursive_mutex::guard await_resume() {
        finish([this] {
            if (mutex_->depth_ == 0) mutex_->lock_.release();
        });
        return mutex_->enter();
    }

private:
    static const wait_kind kind_;
    static const char* object(const leaf_wait& wait);
    recursive_mutex* mutex_;
};

}  // namespace detail

inline detail::waiting_for<detail::mutex_wait, mutex> mutex::lock() noexcept {
    return detail::waiting_for<detail::mutex_wait, mutex>(*this);
}
inline detail::waiting_for<detail::recursive_mutex_wait, recursive_mutex>
recursive_mutex::lock() noexcept {
    return detail::waiting_for<detail::recursive_mutex_wait, recursive_mutex>(*this);
}

}  // namespace v0
}  // namespace rondo
