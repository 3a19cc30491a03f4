// SPDX-License-Identifier: MIT
// Jobs that process_pool's tests run in its workers.
#pragma once

#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <utility>

#include "support/process_tools.hpp"

namespace rondo_tests {

inline int add(int a, int b) { return a + b; }
inline std::string twice(const std::string& text) { return text + text; }
inline void end_with(int code) { std::exit(code); }
inline void stop_here() { ::raise(SIGSTOP); }
inline void say_and_stay(std::string pipe) {
    tell(pipe, ::getpid());
    wait_for_ever();
}
inline int say_and_wait(std::string pipe, std::string word) {
    tell(pipe, ::getpid());
    wait_for_word(word);
    return ::getpid();
}

}  // namespace rondo_tests
