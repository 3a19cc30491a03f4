// SPDX-License-Identifier: MIT
// A lock for many readers or one writer. Fair: readers and writers wait in one line, first come
// first served, so neither can starve the other. Adjacent readers in the line enter together. A
// reader must not lock again while a writer waits: it would wait for the writer, which waits for
// the reader, a deadlock.
#pragma once

#include <cstddef>
#include <string>
#include <type_traits>

#include <rondo/sync/guard.hpp>

namespace rondo {
inline namespace v0 {

namespace detail {
class rwlock_line;
template <class Guard>
class rwlock_wait;
}  // namespace detail

/// Shared by readers, exclusive to one writer.
/// Thread: its loop's.
/// See:    std::shared_mutex, tokio::sync::RwLock.
class RONDO_API rwlock {
    void release() noexcept {
        alone_ = false;
        if (!line_.empty()) [[unlikely]]
            serve();
    }
    void release_shared() noexcept {
        --shared_;
        if (!line_.empty()) [[unlikely]]
            serve();
    }

public:
    /// An exclusive lock.
    using guard = detail::guard<rwlock, &rwlock::release>;
    /// A shared lock.
    using shared_guard = detail::guard<rwlock, &rwlock::release_shared>;

    rwlock() noexcept = default;
    rwlock(const rwlock&) = delete;
    rwlock& operator=(const rwlock&) = delete;
    ~rwlock() {
        RONDO_ASSERT(!alone_ && shared_ == 0, "an rwlock was destroyed while it is locked");
    }

    /// `auto guard = co_await l.lock();` locks to write: waits until no other task holds the lock.
    /// Cancel: leaves the line, which may let readers in. A task that was handed the lock and has
    ///         not run since hands it on.
    detail::waiting_for<detail::rwlock_wait<guard>, rwlock> lock() noexcept;
    /// `auto guard = co_await l.lock_shared();` locks to read: waits while a writer holds the lock,
    /// and for the writers that came before.
    /// Cancel: the same as lock.
    detail::waiting_for<detail::rwlock_wait<shared_guard>, rwlock> lock_shared() noexcept;

    /// Locks to write without waiting; the guard is false on failure. Fails if there are waiters:
    /// it does not overtake them.
    guard try_lock() noexcept { return guard(enter(true) ? this : nullptr); }
    /// Locks to read without waiting, like try_lock.
    shared_guard try_lock_shared() noexcept { return shared_guard(enter(false) ? this : nullptr); }

    /// True while a writer holds it.
    bool locked() const noexcept { return alone_; }
    /// The number of readers that hold it.
    std::size_t shared() const noexcept { return shared_; }
    /// The number of waiters.
    std::size_t waiting() const noexcept { return line_.size(); }
    /// A text for diagnostics: "an rwlock held by task \"writer\" and 2 wait".
    std::string describe() const;

private:
    friend class detail::rwlock_line;
    template <class Guard>
    friend class detail::rwlock_wait;

    bool take(bool alone, const detail::task_record* task) noexcept {
        if (alone_ || (alone && shared_ != 0)) return false;
        if (alone)
            holder_ = task;
        else
            ++shared_;
        alone_ = alone;
        return true;
    }
    bool enter(bool alone) noexcept { return line_.empty() && take(alone, detail::here.current); }
    template <class Guard>
    Guard adopt() noexcept {
        return Guard(this);
    }
    void serve() noexcept;
    std::string state() const;

    wait_queue line_;
    std::size_t shared_ = 0;
    const detail::task_record* holder_ = nullptr;  // valid while alone_; see mutex::holder_
    bool alone_ = false;
};

namespace detail {

/// The part of rwlock's awaiters that does not depend on the type of the guard.
class RONDO_API rwlock_line : public queue_wait {
protected:
    rwlock_line(rwlock& lock, bool alone) noexcept
        : queue_wait(alone ? writer_ : reader_, lock.line_), lock_(&lock), alone_(alone) {}
    rwlock* lock_;

private:
    friend class rondo::rwlock;
    static const wait_kind writer_, reader_;
    static const char* object(const leaf_wait& wait);
    static void stop(leaf_wait& wait) noexcept;
    const bool alone_;
};

template <class Guard>
class rwlock_wait : public rwlock_line {
    static constexpr bool alone = std::is_same_v<Guard, rwlock::guard>;

public:
    static constexpr bool can_be_asked = true;  // see select.hpp
    explicit rwlock_wait(rwlock& l) noexcept : rwlock_line(l, alone) {}
    bool await_ready() noexcept {
        return is_cancelled() ? cancel_at_start() : (lock_->enter(alone) && acquired());
    }
    Guard await_resume() {
        finish([this] { lock_->adopt<Guard>().unlock(); });
        return lock_->adopt<Guard>();
    }
};

}  // namespace detail

inline detail::waiting_for<detail::rwlock_wait<rwlock::guard>, rwlock> rwlock::lock() noexcept {
    return detail::waiting_for<detail::rwlock_wait<guard>, rwlock>(*this);
}
inline detail::waiting_for<detail::rwlock_wait<rwlock::shared_guard>, rwlock>
rwlock::lock_shared() noexcept {
    return detail::waiting_for<detail::rwlock_wait<shared_guard>, rwlock>(*this);
}

}  // namespace v0
}  // namespace rondo
