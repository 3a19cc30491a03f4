// SPDX-License-Identifier: MIT
// Shows how a consumer tells a generator that something went wrong. `throw_in` throws an exception
// at the co_yield that the generator is suspended at. This one catches it: it is a list of
// errands, and an errand that failed comes again at the end of the list, once.
// Run: second_try
//
//     bread: done
//     stamps: the post office is closed
//     milk: done
//     unicorn: sold out
//     stamps: done
//     unicorn: sold out
//     given up: unicorn
#include <chrono>
#include <deque>
#include <exception>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

using namespace std::chrono_literals;

rondo::generator<std::string> errands(std::vector<std::string> names) {
    std::deque<std::pair<std::string, int>> open;  // a name, and how often it has failed
    for (auto& name : names) open.emplace_back(std::move(name), 0);
    while (!open.empty()) {
        auto [name, failures] = open.front();
        open.pop_front();
        try {
            co_yield name;
        } catch (const std::runtime_error&) {
            if (++failures < 2)
                open.emplace_back(name, failures);
            else
                fmt::print("given up: {}\n", name);
        }
    }
}

rondo::task<> run_errand(std::string name, int& hour) {
    co_await rondo::sleep(10ms);
    ++hour;
    if (name == "unicorn") throw std::runtime_error("sold out");
    if (name == "stamps" && hour < 4) throw std::runtime_error("the post office is closed");
    fmt::print("{}: done\n", name);
}

rondo::task<> saturday(std::vector<std::string> names) {
    auto list = errands(std::move(names));
    int hour = 0;
    auto errand = list.next();
    while (errand) {
        std::exception_ptr failure;
        try {
            co_await run_errand(*errand, hour);
        } catch (const std::runtime_error& error) {
            fmt::print("{}: {}\n", *errand, error.what());
            failure = std::current_exception();
        }
        errand = failure ? list.throw_in(failure) : list.next();
    }
}

int main() {
    rondo::run(saturday({"bread", "stamps", "milk", "unicorn"}));
}
