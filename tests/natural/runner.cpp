// SPDX-License-Identifier: MIT
// Runs one of the programs: its main, on the ring, or its task, on the simulator.
//
// usage: natural NAME ring | natural NAME SEED...
// After the output of each seed comes a form feed.
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string_view>

#include <fmt/core.h>
#include <rondo/testing.hpp>

#include "natural/natural.hpp"

namespace {

void simulate(const natural::entry& one, int count, char** seeds) {
    for (int i = 0; i < count; ++i) {
        rondo::testing::simulate(one.program, {.seed = std::strtoull(seeds[i], nullptr, 10)});
        std::fputs("\f", stdout);
    }
}

}  // namespace

int main(int argc, char** argv) {
    const std::string_view name = argc > 2 ? argv[1] : "";
    for (const natural::entry* one = natural::entry::first; one != nullptr; one = one->next) {
        if (one->name != name) continue;
        try {
            if (std::string_view(argv[2]) == "ring") return one->start();
            simulate(*one, argc - 2, argv + 2);
            return 0;
        } catch (const std::exception& error) {
            fmt::print(stderr, "exception: {}\n", error.what());
            return 1;
        }
    }
    fmt::print(stderr, "usage: natural NAME ring | natural NAME SEED...\n");
    return 2;
}
