// SPDX-License-Identifier: MIT
// The only file that depends on the version of Catch2: 3 (compiled library) or 2.13 (one header,
// Debian 12). Tests include this and no header of Catch2.
//
// Catch2 2.13 cannot skip a case, so this file defines SKIP: it prints the reason, marks the case
// and leaves it as a failed REQUIRE would, without a failure. Like every assertion it may be used
// only on the test's own thread, also inside a coroutine whose exception reaches the test.
#pragma once

#if __has_include(<catch2/catch_all.hpp>)

#include <catch2/catch_all.hpp>

#else

#include <catch2/catch.hpp>

namespace rondo_tests {
inline bool case_skipped = false;  // read and cleared by main.cpp's listener at the case's end
}

#define SKIP(reason)                         \
    do {                                     \
        WARN("skipped: " << reason);         \
        ::rondo_tests::case_skipped = true;  \
        throw Catch::TestFailureException(); \
    } while (false)

#endif
