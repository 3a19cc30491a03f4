// SPDX-License-Identifier: MIT
// A Tour of Go: Fibonacci numbers over a channel until the consumer says quit.
// Runs on: ring and simulator
//
//     0 1 1 2 3 5 8 13 21 34 quit
#include <fmt/core.h>
#include <rondo/rondo.hpp>

rondo::task<> fibonacci(rondo::queue<int>& numbers, rondo::event& quit) {
    int x = 0, y = 1;
    while (true) {
        auto which = co_await rondo::select(numbers.put(x), quit.wait());
        if (which.index() == 1) {
            fmt::print("quit\n");
            co_return;
        }
        y = x + y;
        x = y - x;
    }
}

rondo::task<> print_ten(rondo::queue<int>& numbers, rondo::event& quit) {
    for (int i = 0; i < 10; i++) fmt::print("{} ", *co_await numbers.next());
    quit.set();
}

rondo::task<> program() {
    rondo::queue<int> numbers(1);
    rondo::event quit;
    co_await rondo::gather(fibonacci(numbers, quit), print_ten(numbers, quit));
}

int main() { rondo::run(program()); }
