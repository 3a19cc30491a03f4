// SPDX-License-Identifier: MIT
// The fault sweep. A scenario is run once without a fault, which counts its operations and calls.
// Then it is run once for each fault at each of them. With every fault,
//   - the scenario ends within a bounded virtual time: with its result, with an error derived from
//     std::exception, or by its cancellation;
//   - its claims about its results hold, also before an error: no byte is lost unseen;
//   - it leaves nothing behind (testing::leak_error), nothing crashes, and no sanitizer reports.
//
// A scenario is a line in a table and a coroutine, which gets a `verdict` for its claims:
//
//     task<> echo(verdict& v) { ... v.expect(got == sent, "the answer is what was sent"); }
//     {"echo", echo}
#pragma once

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include <rondo/rondo.hpp>
#include <rondo/testing.hpp>

namespace fault_sweep {

using namespace rondo;
using namespace std::chrono_literals;

/// A scenario's claims about its results.
class verdict {
public:
    void expect(bool holds, const char* claim) {
        if (!holds && wrong_ == nullptr) wrong_ = claim;
    }
    const char* wrong() const noexcept { return wrong_; }

private:
    const char* wrong_ = nullptr;
};

/// Properties of a scenario.
enum traits : unsigned {
    ordinary = 0,
    reports = 1,  // errors reach the exception handler also without a fault
    waits = 2,    // if a fault hits one side, the other side waits on
    hears = 4,    // an injected EIO is never lost: the run fails or reports it
};

struct scenario {
    const char* name;
    task<> (*body)(verdict&);
    unsigned what = ordinary;
};

/// A fault to inject.
struct injection {
    const char* name;
    testing::fault what;  // none: a call that is not an operation fails with `error`
    int error = EIO;
};

inline constexpr std::array injections{
    injection{"ECANCELED", testing::fault::cancel},
    injection{"EIO", testing::fault::error, EIO},
    injection{"ECONNRESET", testing::fault::error, ECONNRESET},
    injection{"ENOBUFS", testing::fault::error, ENOBUFS},
    injection{"EINTR", testing::fault::error, EINTR},
    injection{"a short transfer", testing::fault::short_transfer},
    injection{"a delay", testing::fault::delay},
    injection{"a cancellation of all", testing::fault::cancel_main},
    injection{"EMFILE of a call", testing::fault::none, EMFILE},
    injection{"ENOMEM of a call", testing::fault::none, ENOMEM},
};

struct tally {
    std::uint64_t scenarios = 0;
    std::uint64_t operations = 0;
    std::uint64_t calls = 0;
    std::uint64_t injected = 0;
    std::uint64_t failed_runs = 0;  // injected runs that ended with an error
    std::vector<std::string> defects;
};

inline constexpr auto patience = 3h;      // of virtual time; a delay is one hour
inline constexpr std::size_t enough = 10;  // defects, before it stops

/// Runs the scenario with its time limit.
inline task<> limited(const scenario& s, verdict& v, bool& in_time) {
    in_time = co_await move_on_after(patience, s.body(v));
}

/// The outcome of one run.
struct outcome_of_run {
    std::string defect;  // empty: none
    std::uint64_t operations = 0;
    std::uint64_t calls = 0;
    bool failed = false;  // with an error, which is allowed if a fault was injected
};

inline outcome_of_run run_once(const scenario& s, const testing::sim_options& options,
                               bool injected, bool must_be_heard) {
    outcome_of_run run;
    std::string error;
    unsigned reported = 0;
    verdict v;
    bool in_time = true;
    const bool cancels = options.what == testing::fault::cancel_main;
    testing::world w(options);
    w.loop().set_exception_handler([&](const exception_context&) { ++reported; });
    const time_point start = w.loop().time();
    try {
        w.run(limited(s, v, in_time));
    } catch (const deadlock_error& e) {
        run.defect = std::string("the scenario hung: ") + e.what();
    } catch (const future_cancelled&) {
        run.failed = true;
        if (!cancels) run.defect = "it ended as cancelled, but was not cancelled";
    } catch (const std::exception& e) {
        run.failed = true;
        error = e.what();
        if (error.empty()) run.defect = "it threw an error without a text";
    } catch (...) {
        run.defect = "it threw something that is not a std::exception";
    }
    const duration took = w.loop().time() - start;
    run.operations = w.operations();
    run.calls = w.calls();
    try {
        w.end();
    } catch (const std::exception& e) {
        if (run.defect.empty()) run.defect = std::string("it left behind: ") + e.what();
    }
    if (!run.defect.empty()) return run;
    if (v.wrong() != nullptr) run.defect = std::string("this does not hold: ") + v.wrong();
    if (!in_time && (!injected || (s.what & waits) == 0)) run.defect = "it waited forever";
    if (took > patience + 1h) run.defect = "it took too long to end";
    if (!injected && run.failed) run.defect = "it failed without a fault: " + error;
    if (!injected && reported > 0 && (s.what & reports) == 0)
        run.defect = "it reported an error without a fault";
    if (must_be_heard && !run.failed && reported == 0 && in_time)
        run.defect = "an error was lost";
    return run;
}

/// Runs `s` with every fault at every operation and call, once for each seed.
inline void sweep(const scenario& s, std::uint64_t seeds, tally& sum) {
    ++sum.scenarios;
    for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
        testing::sim_options options;
        options.seed = seed;
        const auto note = [&](const outcome_of_run& run, const char* fault, std::uint64_t at) {
            if (run.failed) ++sum.failed_runs;
            if (run.defect.empty()) return;
            sum.defects.push_back(std::string(s.name) + ", seed " + std::to_string(seed) + ", " +
                                  fault + " at " + std::to_string(at) + ": " + run.defect);
        };
        const outcome_of_run clean = run_once(s, options, false, false);
        note(clean, "nothing", 0);
        if (!clean.defect.empty()) return;
        sum.operations += clean.operations;
        sum.calls += clean.calls;
        for (const injection& inject : injections) {
            const bool call = inject.what == testing::fault::none;
            for (std::uint64_t at = 0; at < (call ? clean.calls : clean.operations); ++at) {
                testing::sim_options faulty = options;
                faulty.what = inject.what;
                faulty.error_number = inject.error;
                (call ? faulty.at_call : faulty.at_operation) = at;
                const bool heard =
                    (s.what & hears) != 0 && inject.what == testing::fault::error &&
                    inject.error == EIO;
                ++sum.injected;
                note(run_once(s, faulty, true, heard), inject.name, at);
                if (sum.defects.size() >= enough) return;
            }
        }
    }
}

}  // namespace fault_sweep
