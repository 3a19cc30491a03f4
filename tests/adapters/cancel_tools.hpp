// SPDX-License-Identifier: MIT
// The third form of a cancellation, for promises that a callback of a C library sets. That happens
// in a turn, not while the loop polls the kernel. So the canceller runs in the turns too.
#pragma once

#include "support/core_tools.hpp"

namespace rondo_tests {

/// Cancels a task after its wait has ended and before it resumes.
class cancels_when_ready {
public:
    explicit cancels_when_ready(future<> waiting) : waiting_(std::move(waiting)) { look(); }
    cancels_when_ready(const cancels_when_ready&) = delete;
    cancels_when_ready& operator=(const cancels_when_ready&) = delete;
    bool over() const noexcept { return over_; }
    bool hit() const noexcept { return hit_; }

private:
    void look() {
        over_ = waiting_.done() || waiting_.state() == task_state::ready;
        hit_ = over_ && !waiting_.done();
        if (hit_) waiting_.cancel();
        if (!over_) running_loop().call_soon([this] { look(); });
    }
    future<> waiting_;
    bool over_ = false;
    bool hit_ = false;
};

template <class Make>
task<> check_cancelled_when_ready(Make make) {
    observed seen;
    auto waiting = create_task(observe(make, &seen));
    co_await yield_now();
    cancels_when_ready canceller(waiting);
    try {
        co_await waiting;
    } catch (const future_cancelled&) {
    }
    while (!canceller.over()) co_await yield_now();
    CHECK(canceller.hit());
    CHECK(waiting.cancelled());
    CHECK(seen.first == outcome_of_wait::value);
    CHECK(seen.next_threw);
}

}  // namespace rondo_tests
