// SPDX-License-Identifier: MIT
// The list of the programs in this folder. collect.py writes one entry for each.
#pragma once

#include <rondo/task.hpp>

namespace natural {

struct entry {
    inline static entry* first = nullptr;

    entry(const char* its_name, int (*its_start)(), rondo::task<> (*its_program)()) noexcept
        : name(its_name), start(its_start), program(its_program), next(first) {
        first = this;
    }

    const char* name;
    int (*start)();              // its main
    rondo::task<> (*program)();  // null if it does not run on the simulator
    entry* next;
};

}  // namespace natural
