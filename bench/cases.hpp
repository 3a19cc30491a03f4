// SPDX-License-Identifier: MIT
// What the benchmark files of the program `micro` share: their cases, and how one is measured.
#pragma once

#include <rondo/loop.hpp>

#include "counts.hpp"
#include "harness.hpp"

namespace bench {

void add_task_cases(suite& cases);
void add_timer_cases(suite& cases);
void add_sync_cases(suite& cases);
void add_thread_cases(suite& cases);
void add_loop_cases(suite& cases);
void add_process_cases(suite& cases);
void add_file_cases(suite& cases);
void add_io_cases(suite& cases);

/// What the cases compute goes here, so that no compiler leaves it out.
inline std::uint64_t sink = 0;

/// Runs the task that `begin` makes; the loop is there before the watch starts.
template <class F>
measurement measured(std::uint64_t count, F begin) {
    rondo::loop loop;
    const stopwatch watch;
    loop.run_until_complete(begin());
    return watch.per(count);
}

}  // namespace bench
