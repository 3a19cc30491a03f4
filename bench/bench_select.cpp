// SPDX-License-Identifier: MIT
// One wait and a select of three, for count_instructions.py: `waits CASE COUNT` does CASE that
// often. A machine that is busy counts the same instructions as an idle one.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string_view>

#include <rondo/queue.hpp>
#include <rondo/run.hpp>
#include <rondo/select.hpp>
#include <rondo/sync.hpp>
#include <rondo/timer.hpp>

namespace {

using rondo::task;

std::uint64_t sink = 0;

bool fill(rondo::queue<int>& line) { return line.try_put(1); }

task<> only_put(std::uint64_t count) {
    rondo::queue<int> line;
    for (std::uint64_t i = 0; i < count; ++i) {
        sink += fill(line) ? 1U : 0U;
        sink += static_cast<std::uint64_t>(*line.try_get());
    }
    co_return;
}

task<> one_wait(std::uint64_t count) {
    rondo::queue<int> line;
    for (std::uint64_t i = 0; i < count; ++i) {
        sink += fill(line) ? 1U : 0U;
        const std::optional<int> item = co_await line.next();
        sink += static_cast<std::uint64_t>(*item);
    }
}

/// All three are ready; the first one wins.
task<> three_ready(std::uint64_t count) {
    rondo::queue<int> line, second, third;
    sink += fill(second) && fill(third) ? 1U : 0U;
    for (std::uint64_t i = 0; i < count; ++i) {
        sink += fill(line) ? 1U : 0U;
        const auto what = co_await rondo::select(line.next(), second.next(), third.next());
        sink += static_cast<std::uint64_t>(*std::get<0>(what));
    }
}

/// Only the last of three is ready.
task<> third_ready(std::uint64_t count) {
    rondo::queue<int> line;
    rondo::queue<int> empty;
    rondo::event stop;
    for (std::uint64_t i = 0; i < count; ++i) {
        sink += fill(line) ? 1U : 0U;
        const auto what = co_await rondo::select(stop.wait(), empty.next(), line.next());
        sink += static_cast<std::uint64_t>(*std::get<2>(what));
    }
}

task<> put_later(rondo::queue<int>& line, std::uint64_t count) {
    for (std::uint64_t i = 0; i < count; ++i) {
        sink += fill(line) ? 1U : 0U;
        while (line.size() != 0) co_await rondo::yield_now();
    }
}

/// None is ready: three child tasks, of which two are cancelled.
task<> none_ready(std::uint64_t count) {
    rondo::queue<int> line;
    rondo::queue<int> empty;
    rondo::event stop;
    auto putting = rondo::create_task(put_later(line, count));
    for (std::uint64_t i = 0; i < count; ++i) {
        const auto what = co_await rondo::select(stop.wait(), line.next(), empty.next());
        sink += static_cast<std::uint64_t>(*std::get<1>(what));
    }
    co_await putting;
}

task<> alone_not_ready(std::uint64_t count) {
    rondo::queue<int> line;
    auto putting = rondo::create_task(put_later(line, count));
    for (std::uint64_t i = 0; i < count; ++i) {
        const std::optional<int> item = co_await line.next();
        sink += static_cast<std::uint64_t>(*item);
    }
    co_await putting;
}

task<> run_case(std::string_view name, std::uint64_t count) {
    if (name == "put") return only_put(count);
    if (name == "one") return one_wait(count);
    if (name == "three_ready") return three_ready(count);
    if (name == "third_ready") return third_ready(count);
    if (name == "suspended") return alone_not_ready(count);
    return none_ready(count);
}

}  // namespace

int main(int count, char** words) {
    if (count != 3) return std::fprintf(stderr, "usage: %s CASE COUNT\n", words[0]), 2;
    rondo::run(run_case(words[1], std::strtoull(words[2], nullptr, 10)));
    return sink == 0 ? 1U : 0U;
}
