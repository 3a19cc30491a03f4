// SPDX-License-Identifier: MIT
// Many who read or one who writes. Fair: one line for both, first come first served, so a stream of
// readers cannot keep a writer out, nor writers a reader; readers that stand next to each other
// enter together. A reader who locks again while a writer waits would wait behind that writer, who
// waits for him: do not.
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

/// Shared by those who read, exclusive to one who writes.
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
    /// Holds it alone.
    using guard = detail::guard<rwlock, &rwlock::release>;
    /// Holds it with others.
    using shared_guard = detail::guard<rwlock, &rwlock::release_shared>;

    rwlock() noexcept = default;
    rwlock(const rwlock&) = delete;
    rwlock& operator=(const rwlock&) = delete;
    ~rwlock() {
        RONDO_ASSERT(!alone_ && shared_ == 0, "an rwlock was destroyed while it is locked");
    }

    /// `auto guard = co_await l.lock();` to write: waits until nobody else holds it.
    /// Cancel: leaves the line, which may let others in; one that was given it and has not run
    ///         since hands it on.
    detail::waiting_for<detail::rwlock_wait<guard>, rwlock> lock() noexcept;
    /// `auto guard = co_await l.lock_shared();` to read: waits until nobody writes or has come to
    /// write before.
    /// Cancel: as lock.
    detail::waiting_for<detail::rwlock_wait<shared_guard>, rwlock> lock_shared() noexcept;

    /// The guard at once, or one that is false. It overtakes nobody.
    guard try_lock() noexcept { return guard(enter(true) ? this : nullptr); }
    /// The same, to read.
    shared_guard try_lock_shared() noexcept { return shared_guard(enter(false) ? this : nullptr); }

    /// Is it held to write?
    bool locked() const noexcept { return alone_; }
    /// How many hold it to read.
    std::size_t shared() const noexcept { return shared_; }
    /// How many wait.
    std::size_t waiting() const noexcept { return line_.size(); }
    /// "an rwlock held by task \"writer\" and 2 wait".
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
    const detail::task_record* holder_ = nullptr;  // while alone_, as in a mutex
    bool alone_ = false;
};

namespace detail {

/// What is known of a wait whichever guard it is for.
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
    explicit rwlock_wait(rwlock& l) noexcept : rwlock_line(l, alone) {}
    bool await_ready() noexcept { return is_cancelled() ? cancel_at_start() : (lock_->enter(alone) && acquired()); }
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
