// SPDX-License-Identifier: MIT
// A counter of permits. A request for several permits gets all of them at once or waits for all.
// First come first served, so many small requests cannot starve a large one. The price: permits may
// lie idle while the first waiter needs more of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include <rondo/sync/guard.hpp>

namespace rondo {
inline namespace v0 {

class semaphore;

namespace detail {
class semaphore_wait;
}

/// Holds permits; the destructor gives them back.
/// Thread: its loop's.
class [[nodiscard("a permit that is dropped is given back at once")]] permit {
public:
    permit() noexcept = default;
    permit(permit&& other) noexcept
        : from_(std::exchange(other.from_, nullptr)), count_(std::exchange(other.count_, 0)) {}
    permit& operator=(permit&& other) noexcept {
        permit old(std::move(*this));
        std::swap(from_, other.from_);
        std::swap(count_, other.count_);
        return *this;
    }
    inline ~permit();

    /// Gives the permits back now instead of in the destructor.
    inline void release() noexcept;
    /// Never gives the permits back; a later `semaphore.release(n)` may. Returns the number of
    /// permits.
    std::size_t forget() noexcept {
        from_ = nullptr;
        return std::exchange(count_, 0);
    }

    /// True if it holds permits; false after a failed try_acquire.
    explicit operator bool() const noexcept { return from_ != nullptr; }
    /// The number of permits that it holds.
    std::size_t count() const noexcept { return count_; }

private:
    friend class semaphore;
    friend class detail::semaphore_wait;
    permit(semaphore* from, std::size_t count) noexcept : from_(from), count_(count) {}

    semaphore* from_ = nullptr;
    std::size_t count_ = 0;
};

/// Limits how many tasks do something at the same time. Must outlive its permits.
/// Thread: its loop's.
/// See:    asyncio.Semaphore.
class RONDO_API semaphore {
public:
    /// Starts with `permits` free permits.
    explicit semaphore(std::size_t permits) noexcept : semaphore(permits, SIZE_MAX) {}

    /// `auto permit = co_await s.acquire();` waits for `count` permits and takes them together.
    /// Cancel: leaves the line. Permits that were given to a task that has not run since go to the
    ///         next waiter.
    detail::waiting_for<detail::semaphore_wait, semaphore, std::size_t> acquire(
        std::size_t count = 1) noexcept;

    /// Takes the permits without waiting; the permit is false if there are not enough, or if tasks
    /// wait: it does not overtake them.
    permit try_acquire(std::size_t count = 1) noexcept {
        return take(count) ? permit(this, count) : permit();
    }

    /// Adds permits: those that permit::forget kept, or new ones.
    /// Throws: invalid_state_error if the total would exceed the bound, or the largest number; none
    ///         is added then.
    void release(std::size_t count = 1);

    /// The number of free permits.
    std::size_t available() const noexcept { return available_; }
    /// The number of waiters.
    std::size_t waiting() const noexcept { return line_.size(); }
    /// A text for diagnostics: "a semaphore with 0 permits and 2 wait".
    std::string describe() const;

protected:
    semaphore(std::size_t permits, std::size_t bound) noexcept
        : available_(permits), bound_(bound) {
        RONDO_ASSERT(detail::is_count(permits),
                     "a semaphore was given a negative number of permits");
    }

private:
    friend class permit;
    friend class detail::semaphore_wait;

    bool take(std::size_t count) noexcept {
        if (count > available_ || !line_.empty()) return false;
        available_ -= count;
        return true;
    }
    void give_back(std::size_t count) noexcept {
        RONDO_ASSERT(count <= bound_ - available_,
                     "a semaphore was released more often than it was acquired");
        available_ += count;
        if (!line_.empty()) [[unlikely]]
            serve();
    }
    void serve() noexcept;
    std::string state() const;

    wait_queue line_;
    std::size_t available_;
    const std::size_t bound_;
};

/// A semaphore that never has more permits than at first: a surplus `release` throws
/// invalid_state_error.
/// See: asyncio.BoundedSemaphore.
class bounded_semaphore : public semaphore {
public:
    /// Starts with `permits` free permits, which is also the maximum.
    explicit bounded_semaphore(std::size_t permits) noexcept : semaphore(permits, permits) {}
};

namespace detail {

/// The awaiter of semaphore::acquire.
class RONDO_API semaphore_wait : public queue_wait {
public:
    static constexpr bool can_be_asked = true;  // see select.hpp
    semaphore_wait(semaphore& s, std::size_t count) noexcept
        : queue_wait(kind_, s.line_), semaphore_(&s), count_(count) {}
    bool await_ready() noexcept {
        return is_cancelled() ? cancel_at_start() : (semaphore_->take(count_) && acquired());
    }
    permit await_resume() {
        finish([this] { semaphore_->give_back(count_); });
        return permit(semaphore_, count_);
    }

private:
    friend class rondo::semaphore;
    static const wait_kind kind_;
    static const char* object(const leaf_wait& wait);
    static void stop(leaf_wait& wait) noexcept;
    semaphore* semaphore_;
    std::size_t count_;
};

}  // namespace detail

inline detail::waiting_for<detail::semaphore_wait, semaphore, std::size_t> semaphore::acquire(
    std::size_t count) noexcept {
    RONDO_ASSERT(count <= bound_, "acquire of more permits than a bounded semaphore has");
    return {*this, count};
}

inline void permit::release() noexcept {
    RONDO_ASSERT(from_ != nullptr, "release() on a permit that holds nothing");
    std::exchange(from_, nullptr)->give_back(std::exchange(count_, 0));
}
inline permit::~permit() {
    if (from_ != nullptr) from_->give_back(count_);
}

}  // namespace v0
}  // namespace rondo
