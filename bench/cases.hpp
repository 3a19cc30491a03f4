// SPDX-License-Identifier: MIT
// The cases of the program `micro`, file by file, and the functions that measure one.
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

/// Results of the cases are added here, so that the compiler cannot remove their work.
inline std::uint64_t sink = 0;

/// Runs the task that `begin` makes. The loop is made before the time measurement starts.
template <class F>
measurement measured(std::uint64_t count, F begin) {
    rondo::loop loop;
    const stopwatch watch;
    loop.run_until_complete(begin());
    return watch.per(count);
}

}  // namespace bench
