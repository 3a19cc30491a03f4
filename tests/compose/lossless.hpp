// SPDX-License-Identifier: MIT
// For tests that the losers of a select have taken nothing. Two sources of one kind give numbered
// items, often both in one turn; a loop of selects takes them. Every item must come once and in
// order. Some selects are cancelled from outside, at any moment.
#pragma once

#include <chrono>
#include <cstdint>
#include <numeric>
#include <utility>
#include <variant>
#include <vector>

#include <rondo/gather.hpp>
#include <rondo/select.hpp>
#include <rondo/timer.hpp>

#include "support/core_tools.hpp"

namespace rondo_tests {

inline std::uint64_t die(std::uint64_t sides) {
    return rondo::detail::random(rondo::detail::running()) % sides;
}

constexpr int items = 40;

/// The numbers that a source has given back.
struct taken_items {
    std::vector<int> taken;
    bool is_complete() const { return taken.size() >= items; }
    void check() const {
        std::vector<int> all(items);
        std::iota(all.begin(), all.end(), 0);
        CHECK(taken == all);
    }
};

template <class Source>
task<> give_some(Source& one, Source& other) {
    for (int from_one = 0, from_other = 0; from_one < items || from_other < items;) {
        const bool gives_one = from_one < items && die(4) != 0;
        const bool gives_other = from_other < items && die(4) != 0;
        if (gives_one) co_await one.give(from_one++);
        if (gives_other) co_await other.give(from_other++);
        if (die(3) == 0) co_await sleep(std::chrono::milliseconds(die(3)));
    }
}

/// One select over both, in either order. It may be cancelled by a timeout.
template <class Source>
task<bool> take_one(Source& one, Source& other, interval& every, std::uint64_t& ticks) {
    auto selected = select(one.take(), every.tick(), other.take());
    if (die(3) == 0) {
        auto what = co_await move_on_after(std::chrono::microseconds(die(1500)),
                                           std::move(selected));
        if (!what) co_return false;
        if (what->index() == 0) one.got(std::move(std::get<0>(*what)));
        if (what->index() == 1) ticks += std::get<1>(*what);
        if (what->index() == 2) other.got(std::move(std::get<2>(*what)));
        co_return true;
    }
    auto what = co_await std::move(selected);
    if (what.index() == 0) one.got(std::move(std::get<0>(what)));
    if (what.index() == 1) ticks += std::get<1>(what);
    if (what.index() == 2) other.got(std::move(std::get<2>(what)));
    co_return true;
}

template <class Source>
task<> take_all(Source& one, Source& other) {
    interval every(1ms);
    const time_point first_tick = every.next();
    std::uint64_t ticks = 0;
    for (int round = 0; round < 20'000; ++round) {
        if (one.is_complete() && other.is_complete()) break;
        const bool turned = die(2) == 0;
        co_await take_one(turned ? other : one, turned ? one : other, every, ticks);
    }
    one.check();
    other.check();
    CHECK(every.next() == first_tick + ticks * every.period());  // every tick was counted
}

template <class Source>
task<> loses_nothing() {
    auto one = co_await Source::make();
    auto other = co_await Source::make();
    co_await gather(give_some(*one, *other), take_all(*one, *other));
}

}  // namespace rondo_tests
