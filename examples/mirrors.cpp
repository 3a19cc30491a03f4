// SPDX-License-Identifier: MIT
// Shows staggered_race with three mirrors of one file. The next mirror is asked if the previous one
// fails or does not answer in time. The first answer wins; the other requests are cancelled and
// have ended before the race returns. (The mirrors are simulated: an answer is a sleep.)
// Run: mirrors
//
//     asking far.example
//     asking broken.example
//     broken.example: connection refused
//     asking near.example
//     far.example: given up
//     the file from near.example
#include <array>
#include <chrono>
#include <stdexcept>
#include <string>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

using namespace std::chrono_literals;

struct mirror {
    const char* name;
    rondo::duration answers_after;
    bool works;
};

rondo::task<std::string> fetch(const mirror& from) {
    fmt::print("asking {}\n", from.name);
    try {
        co_await rondo::sleep(from.answers_after);
    } catch (const rondo::cancelled&) {
        fmt::print("{}: given up\n", from.name);
        throw;  // a cancelled task rethrows
    }
    if (!from.works) {
        fmt::print("{}: connection refused\n", from.name);
        throw std::runtime_error("connection refused");
    }
    co_return fmt::format("the file from {}", from.name);
}

rondo::task<> download() {
    const std::array mirrors{mirror{"far.example", 2s, true}, mirror{"broken.example", 20ms, false},
                             mirror{"near.example", 50ms, true}};
    fmt::print("{}\n", co_await rondo::staggered_race(200ms, mirrors, fetch));
}

int main() { rondo::run(download()); }
