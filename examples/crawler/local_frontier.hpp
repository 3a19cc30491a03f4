// SPDX-License-Identifier: MIT
// The frontier of a crawl in one process. Pages wait in a line for each host, and hosts take turns,
// so that a slow host delays no other. The lines hold a limited number of pages, and all further
// ones go to a temporary file: a put never waits for a visit, and a visit that finds many links
// cannot block the visits that would make room for them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <list>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include <rondo/sync.hpp>
#include <rondo/task.hpp>

#include "frontier.hpp"
#include "gate.hpp"
#include "overflow.hpp"

namespace crawler {

/// The frontier of one process.
class local_frontier final : public frontier {
public:
    /// Takes `pages_max` pages in all (0: no limit), and keeps `memory_max` of those that wait in
    /// memory. The gate must outlive it.
    local_frontier(const gate& hosts, std::size_t pages_max, std::size_t memory_max)
        : gate_(hosts), pages_max_(pages_max), memory_max_(memory_max) {}

    rondo::task<> put(std::vector<target> found) override;
    rondo::task<> work(std::size_t jobs, visitor& with, rondo::duration grace) override;
    frontier_counts counts() const noexcept override {
        return {in_memory_ + overflow_.size(), at_work_, dropped_};
    }

private:
    struct host_line {
        std::deque<target> pages;
        std::size_t at_work = 0;
    };
    using host_lines = std::unordered_map<std::string, host_line>;

    /// A visit in the counts. A task that is cancelled before it runs destroys its arguments, so it
    /// leaves the counts as well.
    class work_place {
    public:
        work_place(local_frontier& of, std::string host);
        work_place(work_place&& other) noexcept
            : of_(std::exchange(other.of_, nullptr)), host_(std::move(other.host_)) {}
        work_place& operator=(work_place&&) = delete;
        ~work_place();

    private:
        local_frontier* of_;
        std::string host_;
    };

    bool is_new(const std::string& url);
    void add(target page);
    rondo::task<> refill();
    std::optional<target> take_ready();
    rondo::task<std::optional<target>> next(std::size_t jobs);
    rondo::task<> visit_one(visitor& with, target page, work_place);
    rondo::task<> end_of_grace();
    rondo::task<> all_visits_ended();
    rondo::task<> leave(rondo::duration grace);

    const gate& gate_;
    std::size_t pages_max_;
    std::size_t memory_max_;
    std::unordered_set<std::uint64_t> known_;  // hashes of URLs: of ten million, two are equal with
                                               // a probability of 3 in a million
    host_lines hosts_;                         // with pages that wait or are at work
    std::list<host_lines::value_type*> turns_;  // hosts with pages that wait
    rondo::time_point soonest_{};               // the moment at which a host of these is ready
    overflow overflow_;
    std::size_t in_memory_ = 0;
    std::size_t at_work_ = 0;
    std::size_t dropped_ = 0;
    rondo::event changed_;
    rondo::event is_ending_;  // visits are given up
};

}  // namespace crawler
