// SPDX-License-Identifier: MIT
// Time: many sleeping tasks, and timeouts that are set and cancelled.
#include <chrono>
#include <memory>
#include <vector>

#include <rondo/future.hpp>
#include <rondo/sleep.hpp>

#include "cases.hpp"

namespace bench {
namespace {

rondo::task<> sleeper(std::chrono::milliseconds delay) { co_await rondo::sleep(delay); }

rondo::task<> sleep_all(std::uint64_t count, sleep_meter& meter) {
    std::vector<rondo::future<>> all;
    all.reserve(count);
    for (std::uint64_t i = 0; i < count; ++i)
        all.push_back(rondo::create_task(sleeper(std::chrono::milliseconds(sleep_ms(count, i)))));
    co_await rondo::yield_now();
    co_await rondo::yield_now();
    meter.all_asleep();
    for (const auto& one : all) co_await one;
}

template <std::uint64_t Count>
measurement sleepers() {
    rondo::loop loop;
    sleep_meter meter(Count);
    loop.run_until_complete(sleep_all(Count, meter));
    return meter.done();
}

// The timer beneath sleep and timeouts: sets and cancels it, without opening a scope.
struct timeout : rondo::detail::timer_node {
    timeout() : timer_node([](timer_node&) noexcept {}) {}
};

rondo::task<> set_and_cancel(measurement& result) {
    rondo::detail::resumer& home = rondo::detail::running();
    const rondo::time_point start = rondo::detail::now(home);
    const auto outstanding = std::make_unique<timeout[]>(timers_outstanding);
    random_numbers random;
    for (std::uint64_t i = 0; i < timers_outstanding; ++i) {
        const std::chrono::nanoseconds beyond(random.next() % 1'000'000'000'000);
        rondo::detail::set_timer(home, outstanding[i], start + std::chrono::hours(1) + beyond);
    }
    const rondo::time_point due = start + std::chrono::seconds(30);
    timeout one;
    const stopwatch watch;
    for (std::uint64_t i = 0; i < timers_set; ++i) {
        rondo::detail::set_timer(home, one, due + std::chrono::nanoseconds(i));
        rondo::detail::cancel_timer(home, one);
    }
    result = watch.per(timers_set);
    for (std::uint64_t i = 0; i < timers_outstanding; ++i)
        rondo::detail::cancel_timer(home, outstanding[i]);
    co_return;
}

measurement timer_cancel() {
    rondo::loop loop;
    measurement result;
    loop.run_until_complete(set_and_cancel(result));
    return result;
}

}  // namespace

void add_timer_cases(suite& cases) {
    cases.push_back({"sleepers_100k", "processor time of a task that sleeps", judged::by_value,
                     sleepers<100'000>});
    cases.push_back({"sleepers_1m", "processor time of a task that sleeps", judged::by_value,
                     sleepers<1'000'000>});
    cases.push_back({"timer_cancel", "timeout set and cancelled, ten thousand outstanding",
                     judged::by_cpu, timer_cancel});
}

}  // namespace bench
