// SPDX-License-Identifier: MIT
// A meeting point: nobody passes before all parties have come. It can be used again at once, since
// everybody who passes carries the verdict in his own wait: the next round may fill while the last
// one is still leaving. asyncio keeps both in one counter, and makes the early ones wait for the
// late ones to leave.
//
// A waiter that is cancelled leaves, and the barrier goes on waiting for as many as before
// (asyncio; in threading a timeout breaks it). If the others cannot go on without him he calls
// `abort`.
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

/// Where a fixed number of tasks meet, round after round.
/// Thread: its loop's.
/// See:    asyncio.Barrier.
class RONDO_API barrier {
public:
    /// `parties`, one at least, meet here.
    explicit barrier(std::size_t parties) noexcept : parties_(parties) {
        RONDO_ASSERT(parties > 0, "a barrier was made for nobody");
        RONDO_ASSERT(detail::is_count(parties), "a barrier was given a negative number of parties");
    }

    /// `auto index = co_await b.wait();` waits until all have come. The index, 0 to parties - 1, is
    /// another one for each: in the order of arrival, so the last to come, who opens the barrier,
    /// has parties - 1.
    /// Throws: broken_barrier_error, where it is broken, or is aborted or reset meanwhile.
    /// Cancel: leaves; the others wait for another one. Once all have come the round is complete
    ///         for the others, also where one of them is cancelled before it runs.
    detail::waiting_for<detail::barrier_wait, barrier> wait() noexcept;

    /// Sends away everybody who waits, with broken_barrier_error; it can be used again, also if it
    /// was broken.
    void reset() noexcept;
    /// Breaks it: who waits, and whoever comes, gets broken_barrier_error, until it is reset.
    void abort() noexcept;

    /// Was it aborted, and not reset since?
    bool broken() const noexcept { return broken_; }
    /// How many make a round complete.
    std::size_t parties() const noexcept { return parties_; }
    /// How many have come and wait for the others.
    std::size_t n_waiting() const noexcept { return line_.size(); }
    /// How many rounds are complete.
    std::uint64_t generation() const noexcept { return generation_; }
    /// "a barrier where 1 of 3 waits".
    std::string describe() const;

private:
    friend class detail::barrier_wait;
    void open() noexcept;
    void send_away() noexcept;
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
        if ((state & sent_away) != 0) throw broken_barrier_error();
        return index_;
    }

private:
    friend class rondo::barrier;
    enum : std::uint32_t { sent_away = first_free_bit };
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
