// SPDX-License-Identifier: MIT
// Without C++20 the compiler prints one sentence, not thousands of errors.
// expect: rondo needs C\+\+20: compile with -std=c\+\+20
// flags: -std=c++17
#ifndef CONTROL
#include <rondo/rondo.hpp>
#endif
