// SPDX-License-Identifier: MIT
// The Go blog, "Pipelines and cancellation": stages that are connected by channels. The last stage
// wants two values only, and the stages before it end.
// Runs on: ring and simulator
//
//     4
//     9
#include <vector>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

rondo::task<> numbers(std::vector<int> all, rondo::queue<int>& out) {
    for (int n : all) co_await out.put(n);
    out.close();
}

rondo::task<> square(rondo::queue<int>& in, rondo::queue<int>& out) {
    while (auto n = co_await in.next()) co_await out.put(*n * *n);
    out.close();
}

rondo::task<> program() {
    rondo::queue<int> first(1), second(1);
    co_await rondo::with_task_group([&](rondo::task_group& group) -> rondo::task<> {
        std::vector<int> all{2, 3, 4, 5, 6};
        group.start(numbers, all, std::ref(first));
        group.start(square, std::ref(first), std::ref(second));
        for (int i = 0; i < 2; i++) fmt::print("{}\n", *co_await second.next());
        group.cancel();
    });
}

int main() { rondo::run(program()); }
