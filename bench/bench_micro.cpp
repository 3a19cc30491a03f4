// SPDX-License-Identifier: MIT
// The cost of rondo's parts, one part per case. The names, and what each counts, are a protocol: a
// program with the same cases can be compared with this one (see README.md).
#include <rondo/process_pool.hpp>

#include "cases.hpp"

int main(int argc, char** argv) {
    if (rondo::process_worker(argc, argv)) return 0;
    bench::suite cases;
    bench::add_task_cases(cases);
    bench::add_sync_cases(cases);
    bench::add_timer_cases(cases);
    bench::add_thread_cases(cases);
    bench::add_loop_cases(cases);
    bench::add_process_cases(cases);
    bench::add_file_cases(cases);
    bench::add_io_cases(cases);
    return bench::run(argc, argv, cases);
}
