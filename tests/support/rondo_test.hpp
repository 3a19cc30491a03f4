// SPDX-License-Identifier: MIT
// Binds rondo/testing.hpp to Catch2: a test case whose body is a coroutine.
//
//     RONDO_TEST("sleep: ends when its time has come", "[sleep]") {
//         co_await sleep(1h);
//     }
//
// It runs on the simulator, once for each of five seeds; with [both] among its tags also on the
// real ring, with [kernel] there alone (and is skipped where io_uring is denied). A third argument
// changes how: `seeds(100)`, `limit(20s)`, `seeds(3).limit(20s)`.
// With RONDO_KERNEL=readiness in the environment, what would run on the ring runs on readiness, and
// nothing runs on the simulator. So the same programs test the third kernel.
//
// A failure says where it ran; RONDO_SEED=7 in the environment repeats that one run. Assertions are
// Catch2's; they belong to the thread of the test. Anything left when the body has ended (tasks,
// operations, frames, descriptors, threads) is a failure too, and so is an error not retrieved.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string_view>

#include <rondo/probe.hpp>
#include <rondo/sleep.hpp>
#include <rondo/testing.hpp>

#include "support/catch.hpp"

// Catch2's assertions name their expression three times: inside __builtin_constant_p, for the sake
// of warnings; as what they test; and behind a `false &&`, against a misuse. g++ 12 runs a co_await
// also where nothing is to be evaluated: CHECK(co_await f()) calls f twice. This is Catch2's macro,
// of 2.13 and 3 alike, without the first and the last.
#undef INTERNAL_CATCH_TEST
#define INTERNAL_CATCH_TEST(macro_name, disposition, ...)                                          \
    do {                                                                                           \
        Catch::AssertionHandler catchAssertionHandler(                                             \
            macro_name##_catch_sr, CATCH_INTERNAL_LINEINFO, CATCH_INTERNAL_STRINGIFY(__VA_ARGS__), \
            disposition);                                                                          \
        INTERNAL_CATCH_TRY {                                                                       \
            CATCH_INTERNAL_START_WARNINGS_SUPPRESSION                                              \
            CATCH_INTERNAL_SUPPRESS_PARENTHESES_WARNINGS                                           \
            catchAssertionHandler.handleExpr(Catch::Decomposer() <= __VA_ARGS__);                  \
            CATCH_INTERNAL_STOP_WARNINGS_SUPPRESSION                                               \
        }                                                                                          \
        INTERNAL_CATCH_CATCH(catchAssertionHandler)                                                \
        INTERNAL_CATCH_REACT(catchAssertionHandler)                                                \
    } while (false)

namespace rondo_tests {

inline const bool environment_was_read = (rondo::testing::pretend_kernel_from_environment(), true);

/// How one test differs from others.
struct how {
    unsigned seed_count = 5;
    rondo::duration time_limit = std::chrono::seconds(5);

    how seeds(unsigned count) const { return {count, time_limit}; }
    how limit(rondo::duration time) const { return {seed_count, time}; }
};
inline how seeds(unsigned count) { return how{}.seeds(count); }
inline how limit(rondo::duration time) { return how{}.limit(time); }

inline void run_simulated(rondo::task<> (*body)(), const how& options) {
    for (const std::uint64_t seed : rondo::testing::seeds(options.seed_count)) {
        INFO("on the simulator, RONDO_SEED=" << seed);
        rondo::testing::simulate(body, {.seed = seed, .limit = options.time_limit});
    }
}

/// Whether the environment chooses a kernel: then only that one is to be tested.
inline bool is_kernel_chosen() {
    const char* const choice = std::getenv("RONDO_KERNEL");
    return choice != nullptr && *choice != '\0';
}

inline void run_on_ring(rondo::task<> (*body)(), const how& options) {
    INFO("on the ring, or as RONDO_KERNEL says");
    rondo::testing::on_ring(body, {.limit = options.time_limit});
}

inline void run_test(std::string_view tags, rondo::task<> (*body)(), const how& options = {}) {
    const bool ring_only = tags.find("[kernel]") != std::string_view::npos;
    const bool both = tags.find("[both]") != std::string_view::npos;
    if (!ring_only && !is_kernel_chosen()) run_simulated(body, options);
    if (!ring_only && !both) return;
    try {
        run_on_ring(body, options);
    } catch (const rondo::uring_unavailable& why) {
        if (ring_only) SKIP(why.what());
        WARN("not on the ring: " << why.what());
    }
}

}  // namespace rondo_tests

#define RONDO_TEST_JOIN_(a, b) a##b
#define RONDO_TEST_JOIN(a, b) RONDO_TEST_JOIN_(a, b)
#define RONDO_TEST_BODY(body, name, tags, ...)                          \
    static ::rondo::task<> body();                                      \
    TEST_CASE(name, tags) {                                             \
        using namespace rondo_tests;                                    \
        ::rondo_tests::run_test(tags, body __VA_OPT__(, ) __VA_ARGS__); \
    }                                                                   \
    static ::rondo::task<> body()
#define RONDO_TEST(...) RONDO_TEST_BODY(RONDO_TEST_JOIN(rondo_test_body_, __LINE__), __VA_ARGS__)
