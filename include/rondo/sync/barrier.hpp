// SPDX-License-Identifier: MIT
// A meeting point: no task passes before all parties have arrived. A barrier can be used again at
// once, because each waiter stores the result of its round in its own wait. So the next round may
// fill while tasks of the last round have yet to run. (asyncio keeps both in one counter, and makes
// early arrivals wait until the last round has left.)
//
// A cancelled waiter leaves, and the barrier still waits for the same number of tasks (as in
// asyncio; in threading a timeout breaks it). If the others cannot continue without that task, it
// calls `abort`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include <rondo/sync/guard.hpp>

namespace rondo {
inline namespace v0 {

namespace detail {
class barrier_wait;
}

/// A meeting point for a fixed number of tasks, round after round.
/// Thread: its loop's.
/// See:    asyncio.Barrier.
class RONDO_API barrier {
public:
    /// A barrier for `parties` tasks, at least one.
    explicit barrier(std::size_t parties) noexcept : parties_(parties) {
        RONDO_ASSERT(parties > 0, "a barrier needs at least one participant");
        RONDO_ASSERT(detail::is_count(parties), "a barrier was given a negative number of parties");
    }

    /// `auto index = co_await b.wait();` waits until all parties have arrived. Each task of a round
    /// gets a different index, 0 to parties - 1, in the order of arrival. The last task to arrive
    /// opens the barrier and gets parties - 1.
    /// Throws: broken_barrier_error if the barrier is broken, or is aborted or reset during the
    ///         wait.
    /// Cancel: leaves; the barrier waits for another task instead. Once all have arrived, the round
    ///         is complete for the others, even if one of them is cancelled before it runs.
    detail::waiting_for<detail::barrier_wait, barrier> wait() noexcept;

    /// Makes every waiter throw broken_barrier_error. The barrier can be used again afterwards,
    /// even if it was broken.
    void reset() noexcept;
    /// Breaks the barrier: waiting and future calls of `wait` throw broken_barrier_error until
    /// `reset`.
    void abort() noexcept;

    /// True after `abort`, until `reset`.
    bool broken() const noexcept { return broken_; }
    /// The number of tasks that complete a round.
    std::size_t parties() const noexcept { return parties_; }
    /// The number of tasks that wait for the others.
    std::size_t n_waiting() const noexcept { return line_.size(); }
    /// The number of completed rounds.
    std::uint64_t generation() const noexcept { return generation_; }
    /// A text for diagnostics: "a barrier where 1 of 3 waits".
    std::string describe() const;

private:
    friend class detail::barrier_wait;
    void open() noexcept;
    void fail_waiters() noexcept;
    std::string state() const;

    wait_queue line_;
    const std::size_t parties_;
    std::uint64_t generation_ = 0;
    bool broken_ = false;
};

namespace detail {

/// The awaiter of barrier::wait.
class RONDO_API barrier_wait : public queue_wait {
public:
    explicit barrier_wait(barrier& b) noexcept : queue_wait(kind_, b.line_), barrier_(&b) {}
    bool await_ready() noexcept;
    std::size_t await_resume() {
        finish([] {});
        if ((state & failed) != 0) throw broken_barrier_error();
        return index_;
    }

private:
    friend class rondo::barrier;
    enum : std::uint32_t { failed = first_free_bit };
    static const wait_kind kind_;
    static const char* object(const leaf_wait& wait);
    barrier* barrier_;
    std::size_t index_ = 0;
};

}  // namespace detail

inline detail::waiting_for<detail::barrier_wait, barrier> barrier::wait() noexcept {
    return detail::waiting_for<detail::barrier_wait, barrier>(*this);
}

}  // namespace v0
}  // namespace rondo
