// SPDX-License-Identifier: MIT
// A number of permits. Whoever asks for several gets them all at once or waits for all of them;
// first come first served, so one who wants much is not starved by many who want little. The price:
// permits may lie idle while the first in line waits for more of them.
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

/// Permits that are held; given back at the end of its life.
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

    /// Gives back before the end of its life.
    inline void release() noexcept;
    /// Keeps the permits for good, or for somebody else's `semaphore.release(n)`. Returns how many
    /// they are.
    std::size_t forget() noexcept {
        from_ = nullptr;
        return std::exchange(count_, 0);
    }

    /// Does it hold what was asked for?
    explicit operator bool() const noexcept { return from_ != nullptr; }
    /// How many permits it holds.
    std::size_t count() const noexcept { return count_; }

private:
    friend class semaphore;
    friend class detail::semaphore_wait;
    permit(semaphore* from, std::size_t count) noexcept : from_(from), count_(count) {}

    semaphore* from_ = nullptr;
    std::size_t count_ = 0;
};

/// Must outlive its permits.
/// Thread: its loop's.
/// See:    asyncio.Semaphore.
class RONDO_API semaphore {
public:
    /// `permits` are there at first.
    explicit semaphore(std::size_t permits) noexcept : semaphore(permits, SIZE_MAX) {}

    /// `auto permit = co_await s.acquire();` waits for `count` permits at once.
    /// Cancel: leaves the line; what was given to one that has not run since goes to the next.
    detail::waiting_for<detail::semaphore_wait, semaphore, std::size_t> acquire(
        std::size_t count = 1) noexcept;

    /// The permits at once, or a permit that is false. Does not overtake those who wait.
    permit try_acquire(std::size_t count = 1) noexcept {
        return take(count) ? permit(this, count) : permit();
    }

    /// Adds permits: those of a permit that was told to forget them, or new ones.
    /// Throws: invalid_state_error, where they become more than the bound, or than can be counted;
    ///         none was added.
    void release(std::size_t count = 1);

    /// Permits that nobody holds.
    std::size_t available() const noexcept { return available_; }
    /// How many wait.
    std::size_t waiting() const noexcept { return line_.size(); }
    /// "a semaphore with 0 permits and 2 wait".
    std::string describe() const;

protected:
    semaphore(std::size_t permits, std::size_t bound) noexcept
        : available_(permits), bound_(bound) {
        RONDO_ASSERT(detail::is_count(permits), "a semaphore was given a negative number of permits");
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

/// A semaphore whose permits never become more than they were at first: a release too many is an
/// error.
/// See: asyncio.BoundedSemaphore.
class bounded_semaphore : public semaphore {
public:
    /// `permits` are there at first, and at most.
    explicit bounded_semaphore(std::size_t permits) noexcept : semaphore(permits, permits) {}
};

namespace detail {

/// The awaiter of semaphore::acquire.
class RONDO_API semaphore_wait : public queue_wait {
public:
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
    RONDO_ASSERT(count <= bound_, "more permits were asked for than a bounded semaphore has");
    return {*this, count};
}

inline void permit::release() noexcept {
    RONDO_ASSERT(from_ != nullptr, "a permit that holds nothing was told to release");
    std::exchange(from_, nullptr)->give_back(std::exchange(count_, 0));
}
inline permit::~permit() {
    if (from_ != nullptr) from_->give_back(count_);
}

}  // namespace v0
}  // namespace rondo
