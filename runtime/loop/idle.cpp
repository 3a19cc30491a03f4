// SPDX-License-Identifier: MIT
// An idle loop gives memory back. After a burst of tasks, the thread's pool keeps frames for the
// next burst (frame_pool.hpp). A loop that has been idle for a second returns the empty slabs. A
// few turns in a second do not count: many programs have a timer that ticks.
//
//   - When a loop is about to wait, and has run something since the last look, it submits a timeout
//     of one second: at most one at a time. Its end is a completion without a waiter.
//   - If it ends and the loop has been idle, slabs are returned, and no timeout follows until
//     something has run. Otherwise the next wait begins another timeout. So a program that has
//     become idle wakes at most twice for this, and a busy one once a second.
//   - A pool that has written to at most 64 KiB has nothing to return, and gets no timeout.
//
// A busy loop pays two comparisons for each wait. A deadline of the wait itself instead of an entry
// would cost a look at the clock and a timer of the kernel for each. Inside another library's loop
// the completion makes `loop.fd()` readable, so it works there too. `run_once` begins no timeout:
// its caller decides how long it waits.
//
// The timeout belongs to the ring of the thread that made it. A loop that moves to another thread
// gets a new ring, and begins another timeout.
//
// On the simulator an entry would change the order of random numbers, depending on how much real
// memory there is. So there is none. There the loop compares the virtual times of two waits with
// work between them, and returns slabs if they are a second apart.
#include "loop/loop_core.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

constexpr std::size_t may_stay = 64 * 1024;
constexpr std::uint64_t few_turns = 8;
constexpr std::chrono::seconds idle_span{1};
constexpr std::int64_t timespec_of_span[2] = {idle_span.count(), 0};

}  // namespace

void loop_core::begin_idle_timeout() noexcept {
    if (this_thread_frames.written_most > may_stay) {
        if (kernel->is_simulated()) {
            const time_point now = kernel->now();
            if (now - std::exchange(waited_at_, now) >= idle_span) release_unused_frames(may_stay);
        } else {
            entry* const slot = kernel->next_entry();
            if (slot == nullptr) return;  // no free entry: the next wait tries again
            *slot = entry{};
            slot->code = opcode::timeout;
            slot->address = address_of(timespec_of_span);
            slot->length = 1;
            slot->user_data = tag_idle;
            idle_timeout_on_ = this_thread_number();
        }
    }
    turns_seen_ = turns_with_work();
}

void loop_core::idle_timeout_ended() noexcept {
    idle_timeout_on_ = 0;
    if (turns_with_work() - turns_seen_ > few_turns) return;
    turns_seen_ = turns_with_work();
    release_unused_frames(may_stay);
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
