// SPDX-License-Identifier: MIT
// What rondo's own parts cost, one part a case. The names and what each counts are a protocol:
// whoever has a program with the same cases can be put beside this one (see README.md).
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
