// SPDX-License-Identifier: MIT
// Only an int can come back from a process: its exit code.
// expect: a process has no result except its exit code
#include <string>

#include <rondo/start_process.hpp>

#ifndef CONTROL
std::string work(int number);
#else
int work(int number);
#endif

int use() { return rondo::start_process(work, 3).join(); }
