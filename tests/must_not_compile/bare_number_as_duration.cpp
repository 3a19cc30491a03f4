// SPDX-License-Identifier: MIT
// A bare number is not a duration: the library does not guess between seconds and nanoseconds.
// expect(g++): conversion from .int. to non-scalar type
// expect(clang++): no viable conversion from 'int'
#include <rondo/config.hpp>

using namespace std::chrono_literals;

rondo::duration a_second() {
    rondo::duration pause = 1s;
#ifndef CONTROL
    rondo::duration wrong = 5;
    pause += wrong;
#endif
    return pause;
}
