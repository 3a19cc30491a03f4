// SPDX-License-Identifier: MIT
// A bare number is no duration: whether it meant seconds or nanoseconds is not for the library to
// guess.
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
