// SPDX-License-Identifier: MIT
// The one place that knows which Catch2 is there: 3 (compiled library) or 2.13 (one header, Debian
// 12). Tests include this and nothing of Catch2's own.
//
// Catch2 2.13 cannot skip a case, so SKIP is made here: it says why, marks the case and leaves it
// the way a failed REQUIRE does, but with nothing failed. Like every assertion it may be used on
// the test's own thread only, also inside a coroutine whose exception reaches the test.
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
