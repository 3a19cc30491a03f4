// SPDX-License-Identifier: MIT
// Go by Example, mutexes: three tasks increment counters of one container.
// Runs on: ring and simulator
//
//     a: 200
//     b: 100
#include <map>
#include <string>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

class container {
public:
    rondo::task<> increment(std::string name) {
        auto lock = co_await mutex_.lock();
        int before = counters_[name];
        co_await rondo::yield_now();
        counters_[name] = before + 1;
    }
    int count(std::string name) { return counters_[name]; }

private:
    rondo::mutex mutex_;
    std::map<std::string, int> counters_;
};

rondo::task<> increment_often(container& c, std::string name, int times) {
    for (int i = 0; i < times; i++) co_await c.increment(name);
}

rondo::task<> program() {
    container c;
    co_await rondo::gather(increment_often(c, "a", 100), increment_often(c, "a", 100),
                           increment_often(c, "b", 100));
    fmt::print("a: {}\nb: {}\n", c.count("a"), c.count("b"));
}

int main() { rondo::run(program()); }
