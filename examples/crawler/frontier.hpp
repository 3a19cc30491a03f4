// SPDX-License-Identifier: MIT
// The work of a crawl: pages that are known and not visited yet. local_frontier.hpp has them in
// this process, shared_frontier.hpp in Redis.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <rondo/config.hpp>
#include <rondo/task.hpp>

namespace crawler {

/// A page to visit.
class target {
public:
    target(std::string normalized_url, unsigned clicks, unsigned followed_redirects)
        : url(std::move(normalized_url)), depth(clicks), redirects(followed_redirects) {}

    /// The target in one line, and from it: "DEPTH REDIRECTS URL".
    std::string text() const;
    static std::optional<target> parse(std::string_view line);

    std::string url;
    unsigned depth;      // links from a page where the crawl begins
    unsigned redirects;  // in a row, up to this one
};

/// Visits pages.
class visitor {
public:
    visitor() = default;
    visitor(const visitor&) = delete;
    visitor& operator=(const visitor&) = delete;
    virtual ~visitor() = default;

    /// Visits one page: fetches it, puts the pages that it names into the frontier, and reports the
    /// result, in this order. An error of the page is a part of its result.
    /// Throws: if the crawl cannot go on, such as when the result cannot be written.
    virtual rondo::task<> visit(const target& page) = 0;
};

/// Counts for the status line.
struct frontier_counts {
    std::size_t waiting = 0;
    std::size_t at_work = 0;
    std::size_t dropped = 0;   // pages beyond the limit of the crawl
    std::size_t given_up = 0;  // pages whose visits have killed their process too often
};

/// The work of a crawl.
/// Thread: its loop's.
class frontier {
public:
    frontier() = default;
    frontier(const frontier&) = delete;
    frontier& operator=(const frontier&) = delete;
    virtual ~frontier() = default;

    /// Adds the pages that were never added before. A visitor may call it at any time: it never
    /// waits for a visit.
    virtual rondo::task<> put(std::vector<target> found) = 0;

    /// Calls the visitor for each page, for `jobs` of them at a time, until no page is left.
    /// Throws: what a visit throws, after the others have ended.
    /// Cancel: begins no further visit. Those at work have `grace` to end, then they are cancelled.
    virtual rondo::task<> work(std::size_t jobs, visitor& with, rondo::duration grace) = 0;

    virtual frontier_counts counts() const noexcept = 0;
};

}  // namespace crawler
