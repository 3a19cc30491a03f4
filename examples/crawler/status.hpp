// SPDX-License-Identifier: MIT
// The status line and the summary, as texts. No clock, no terminal, no I/O.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <rondo/config.hpp>

#include "frontier.hpp"
#include "result.hpp"

namespace crawler {

/// Counts of a crawl.
struct crawl_counts {
    std::uint64_t pages = 0;         // with an answer
    std::uint64_t errors = 0;        // without one
    std::uint64_t skipped = 0;       // not asked for
    std::uint64_t statuses[6] = {};  // by the first digit
    std::uint64_t bytes = 0;

    void add(const page_result& result);
};

/// "123 pages, 2 errors, 40 waiting, 8 at work, 1.5 MiB, 45/s  http://..." in `columns` columns.
std::string status_line(const crawl_counts& counts, const frontier_counts& work,
                        rondo::duration time, std::string_view url, std::size_t columns);

/// The lines at the end of a crawl, each with its line end.
std::string summary(const crawl_counts& counts, const frontier_counts& work, rondo::duration time,
                    bool was_interrupted);

}  // namespace crawler
