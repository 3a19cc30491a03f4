// SPDX-License-Identifier: MIT
// Renewing the leases of all running jobs, in one step each third of the
// time for which a lease may be used.
#include <algorithm>

#include "redis/work_loop.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

using namespace std::chrono_literals;

/// Redis counts a lease from a later moment than we do, and others may begin the job when it ends.
duration work_loop::usable() const noexcept {
    const duration lease = queue_.options.lease;
    return lease - std::max<duration>(lease / 10, 500ms);
}

task<> work_loop::renew_all() {
    duration pause = usable() / 3;
    for (;;) {
        co_await sleep(pause);
        pause = usable() / 3;
        try {
            co_await renew();
        } catch (const redis::error&) {  // the jobs end in time, unless a later one succeeds
            pause = queue_.options.lease / 20;
        }
    }
}

namespace {

void add_lease(work_words& to, const held_job& job) {
    to.push_back(job.consumer);
    to.push_back(job.entry);
    to.push_back(std::to_string(job.deliveries));
}

}  // namespace

task<> work_loop::renew() {
    work_words asked;
    for (const held_job* each = held_.first(); each != nullptr; each = held_.next(*each))
        add_lease(asked, *each);
    if (asked.empty()) co_return;
    const time_point sent = running_loop().time();
    const auto results = co_await ask_to_renew(asked, queue_.options.lease / 6);
    took_renewals(results, asked, sent);
}

/// Renews the leases of jobs that are not in the list yet, or have not begun. If that fails, they
/// are given back or run out.
task<> work_loop::renew_unstarted(held_job* jobs, std::size_t count) {
    work_words asked;
    for (std::size_t i = 0; i < count; ++i) add_lease(asked, jobs[i]);
    const time_point sent = running_loop().time();
    try {
        const auto results = co_await ask_to_renew(std::move(asked), jobs[0].ends - sent);
        for (std::size_t i = 0; i < count; ++i) {
            if (results[i] == 0)
                lose(jobs[i], "another worker has its lease");
            else
                jobs[i].ends = ends_if_sent(sent);
        }
    } catch (const redis::error&) {
    }
}

/// A request that waits for a connection would count from a moment long ago. So it has a limit.
/// Throws: redis::error.
task<redis::value> work_loop::ask_to_renew(work_words asked, duration limit) {
    auto asking = queue_.run(work_step::renew, std::move(asked));
    auto results = co_await move_on_after(limit, std::move(asking));
    if (!results) throw redis::error("Redis does not answer");
    co_return std::move(*results);
}

/// Jobs that have ended meanwhile are not in the list any more; the others are in the same order.
void work_loop::took_renewals(const redis::value& results, const work_words& asked,
                              time_point sent) {
    held_job* job = held_.first();
    for (std::size_t i = 0; i < results.size() && job != nullptr; ++i) {
        if (job->entry != asked[3 * i + 1] || job->consumer != asked[3 * i] ||
            std::to_string(job->deliveries) != asked[3 * i + 2])
            continue;  // it has ended, even if we have the same entry again
        held_job& one = *job;
        job = held_.next(one);
        if (results[i] == 0) {
            lose(one, "another worker has its lease");
        } else {
            one.ends = ends_if_sent(sent);
            if (one.guard != nullptr) one.guard->reschedule(std::min(one.ends, drained_by_));
        }
    }
}

/// Cancels a job whose lease is lost.
void work_loop::lose(held_job& job, const char* why) {
    if (std::exchange(job.is_lost, true)) return;
    job.why = why;
    if (job.guard != nullptr) job.guard->reschedule(time_point());
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
