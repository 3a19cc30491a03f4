// SPDX-License-Identifier: MIT
// A small harness for benchmarks, with only the standard library and Linux.
//
// A case is a function that does its work once and returns the cost of one operation. If the
// program is run with the name of a case, it prints one JSON object, for scripts that compare
// programs. Without a name it runs every case in several rounds, each time in a new process. So a
// case that has touched a gigabyte does not affect the next one, and cold memory is cold in every
// round. The rounds are interleaved (a b c a b c): if the machine slows down for a minute, that
// spoils one round of all cases, not all rounds of one. So the median counts, and the spread says
// how far to trust it.
//
// The choice not taken is to repeat inside the process until a confidence interval is narrow. That
// measures warm code on a quiet machine, which is not how programs run.
#pragma once

#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace bench {

inline std::uint64_t nanoseconds(clockid_t clock) noexcept {
    timespec t{};
    clock_gettime(clock, &t);
    return static_cast<std::uint64_t>(t.tv_sec) * 1'000'000'000 +
           static_cast<std::uint64_t>(t.tv_nsec);
}
inline std::uint64_t wall() noexcept { return nanoseconds(CLOCK_MONOTONIC); }
/// Processor time of all threads of the process, in ns.
inline std::uint64_t cpu() noexcept { return nanoseconds(CLOCK_PROCESS_CPUTIME_ID); }

/// Resident memory of the process.
inline double resident_bytes() {
    long pages = 0;
    if (FILE* statm = std::fopen("/proc/self/statm", "r")) {
        if (std::fscanf(statm, "%*d %ld", &pages) != 1) pages = 0;
        std::fclose(statm);
    }
    return static_cast<double>(pages * sysconf(_SC_PAGESIZE));
}

/// A further number of a measurement.
struct figure {
    const char* name;
    double value;
};

/// The result of one run of a case.
struct measurement {
    double value = 0;  // ns an operation
    std::uint64_t count = 0;
    std::array<figure, 4> further{};  // ends with the first that has no name

    measurement& add(const char* name, double number) {
        for (figure& f : further)
            if (f.name == nullptr) {
                f = {name, number};
                break;
            }
        return *this;
    }
    double get(std::string_view name) const {
        for (const figure& f : further)
            if (f.name != nullptr && f.name == name) return f.value;
        return 0;
    }
};

/// The measure of a case: processor time of the process for work of one thread, which other
/// programs disturb less; wall-clock time for cases that wait or use several processors.
enum class judged { by_cpu, by_value };

struct test_case {
    const char* name;
    const char* operation;  // describes one counted operation
    judged how;
    measurement (*run)();
};

using suite = std::vector<test_case>;

/// Measures from its construction until `per`.
class stopwatch {
public:
    measurement per(std::uint64_t count) const {
        const auto n = static_cast<double>(count);
        measurement m;
        m.value = static_cast<double>(wall() - wall_) / n;
        m.count = count;
        return m.add("cpu", static_cast<double>(cpu() - cpu_) / n);
    }

private:
    std::uint64_t wall_ = wall();
    std::uint64_t cpu_ = cpu();
};

/// The value that a share `q` of the samples lies below.
inline double quantile(std::vector<double> samples, double q) {
    if (samples.empty()) return 0;
    const auto place = static_cast<std::ptrdiff_t>(q * static_cast<double>(samples.size() - 1));
    std::nth_element(samples.begin(), samples.begin() + place, samples.end());
    return samples[static_cast<std::size_t>(place)];
}

/// Median and 99th percentile of waiting times in ns.
inline measurement latencies(const std::vector<double>& samples) {
    measurement m;
    m.value = quantile(samples, 0.5);
    m.count = samples.size();
    return m.add("p99", quantile(samples, 0.99));
}

// -- running --------------------------------------------------------------------------------------

namespace detail {

struct options {
    unsigned rounds = 5;
    std::string json;
    std::vector<std::string_view> names;  // empty: all
};

inline double score(const test_case& c, const measurement& m) {
    const double cpu_time = m.get("cpu");
    return c.how == judged::by_cpu && cpu_time != 0 ? cpu_time : m.value;
}

/// Runs a case in a new process. False if that process failed.
inline bool run_apart(const test_case& c, measurement& result) {
    int ends[2];
    if (pipe(ends) != 0) return false;
    const pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        const measurement m = c.run();  // its names are constants, at the same address in both
        _exit(write(ends[1], &m, sizeof m) == ssize_t{sizeof m} ? 0 : 1);
    }
    close(ends[1]);
    const bool whole = child > 0 && read(ends[0], &result, sizeof result) == ssize_t{sizeof result};
    close(ends[0]);
    int status = 0;
    return child > 0 && waitpid(child, &status, 0) == child && whole && status == 0;
}

/// The results of all rounds of one case.
struct row {
    const test_case* of;
    std::vector<double> scores;
    std::vector<measurement> runs;

    double median() const { return quantile(scores, 0.5); }
    /// The difference of the largest and the least value, as a share of the median.
    double spread() const {
        const auto [least, most] = std::minmax_element(scores.begin(), scores.end());
        return (*most - *least) / median();
    }
    double median_of(const char* name) const {
        std::vector<double> values;
        for (const measurement& m : runs) values.push_back(m.get(name));
        return quantile(values, 0.5);
    }
};

inline void print_row(const row& r) {
    std::printf("%-18s %12.1f %8.1f %%  ns   %2zu   %s", r.of->name, r.median(), 100 * r.spread(),
                r.scores.size(), r.of->operation);
    for (const figure& f : r.runs.front().further)
        if (f.name != nullptr && std::strcmp(f.name, "cpu") != 0)
            std::printf("; %s %.0f", f.name, r.median_of(f.name));
    std::printf("\n");
}

inline bool write_json(const std::vector<row>& rows, const std::string& path) {
    FILE* out = std::fopen(path.c_str(), "w");
    if (out == nullptr) return false;
    std::fprintf(out, "{\"unit\": \"ns\", \"cases\": [\n");
    for (const row& r : rows) {
        std::fprintf(
            out, " {\"name\": \"%s\", \"operation\": \"%s\", \"median\": %.3f, \"spread\": %.4f",
            r.of->name, r.of->operation, r.median(), r.spread());
        for (const figure& f : r.runs.front().further)
            if (f.name != nullptr) std::fprintf(out, ", \"%s\": %.3f", f.name, r.median_of(f.name));
        std::fprintf(out, ", \"runs\": [");
        for (std::size_t i = 0; i < r.scores.size(); ++i)
            std::fprintf(out, "%s%.3f", i == 0 ? "" : ", ", r.scores[i]);
        std::fprintf(out, "]}%s\n", &r == &rows.back() ? "" : ",");
    }
    std::fprintf(out, "]}\n");
    return std::fclose(out) == 0;
}

inline int run_rounds(const suite& cases, const options& o) {
    std::vector<row> rows;
    for (const test_case& c : cases)
        if (o.names.empty() || std::find(o.names.begin(), o.names.end(), c.name) != o.names.end())
            rows.push_back({&c, {}, {}});
    for (unsigned round = 0; round < o.rounds; ++round)
        for (row& r : rows) {
            std::fprintf(stderr, "\rround %u of %u: %-20s", round + 1, o.rounds, r.of->name);
            measurement m;
            if (!run_apart(*r.of, m)) {
                std::fprintf(stderr, "\n%s failed\n", r.of->name);
                return 1;
            }
            r.scores.push_back(score(*r.of, m));
            r.runs.push_back(m);
        }
    std::fprintf(stderr, "\r%50s\r", "");
    std::printf("%-18s %12s %8s    unit runs  one operation\n", "case", "median", "spread");
    for (const row& r : rows) print_row(r);
    if (o.json.empty() || write_json(rows, o.json)) return 0;
    std::fprintf(stderr, "cannot write %s\n", o.json.c_str());
    return 1;
}

inline int run_one(const test_case& c) {
    const measurement m = c.run();
    std::printf("{\"bench\": \"%s\", \"value\": %.3f, \"n\": %llu", c.name, m.value,
                static_cast<unsigned long long>(m.count));
    for (const figure& f : m.further)
        if (f.name != nullptr) std::printf(", \"%s\": %.3f", f.name, f.value);
    std::printf("}\n");
    return 0;
}

inline int usage(const char* program) {
    std::fprintf(stderr,
                 "usage: %s                        every case, in rounds, as a table\n"
                 "       %s --rounds N --json FILE NAME NAME ...   only these (two or more)\n"
                 "       %s list                   the names of the cases\n"
                 "       %s NAME                   one run of one case, as a line of JSON\n",
                 program, program, program, program);
    return 2;
}

/// False if the command line is wrong.
inline bool parse(int argc, char** argv, const suite& cases, options& o) {
    for (int i = 1; i < argc; ++i) {
        const std::string_view word = argv[i];
        const bool has_value = i + 1 < argc;
        if (word == "--rounds" && has_value)
            o.rounds = static_cast<unsigned>(std::strtoul(argv[++i], nullptr, 10));
        else if (word == "--json" && has_value)
            o.json = argv[++i];
        else if (std::any_of(cases.begin(), cases.end(), [&](auto& c) { return c.name == word; }))
            o.names.push_back(word);
        else
            return false;
    }
    return o.rounds != 0;
}

}  // namespace detail

/// The whole of a benchmark program's main.
inline int run(int argc, char** argv, const suite& cases) {
    if (argc == 2 && std::string_view(argv[1]) == "list") {
        for (const test_case& c : cases) std::puts(c.name);
        return 0;
    }
    if (argc == 2)
        for (const test_case& c : cases)
            if (std::string_view(argv[1]) == c.name) return detail::run_one(c);
    detail::options o;
    if (!detail::parse(argc, argv, cases, o)) return detail::usage(argv[0]);
    return detail::run_rounds(cases, o);
}

}  // namespace bench
