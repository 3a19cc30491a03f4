// SPDX-License-Identifier: MIT
// Renewing the leases of all running jobs, in one step each third of a lease.
#include <algorithm>

#include "redis/work_loop.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

using namespace std::chrono_literals;

/// When a job must end whose lease was renewed by a request that was sent at `sent`. Redis counts
/// from a later moment.
time_point work_loop::ends_if_sent(time_point sent) const noexcept {
    const duration lease = queue_.options.lease;
    return saturating_add(sent, lease - std::max<duration>(lease / 10, 500ms));
}

task<> work_loop::renew_all() {
    const duration lease = queue_.options.lease;
    duration pause = lease / 3;
    for (;;) {
        co_await sleep(pause);
        pause = lease / 3;
        try {
            co_await renew();
        } catch (const redis::error&) {  // the jobs end in time, unless a later one succeeds
            pause = lease / 20;
        }
    }
}

task<> work_loop::renew() {
    work_words asked;
    for (const held_job* each = held_.first(); each != nullptr; each = held_.next(*each)) {
        asked.push_back(each->consumer);
        asked.push_back(each->entry);
        asked.push_back(std::to_string(each->deliveries));
    }
    if (asked.empty()) co_return;
    // A request that waits for a connection would count from a moment long ago: it is repeated.
    const time_point sent = running_loop().time();
    auto asking = queue_.run(work_step::renew, asked);
    const auto results = co_await move_on_after(queue_.options.lease / 6, std::move(asking));
    if (!results) throw redis::error("Redis does not answer");
    took_renewals(*results, asked, sent);
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
            one.is_lost = true;
            one.why = "another worker has its lease";
            if (one.guard != nullptr) one.guard->reschedule(time_point());
        } else {
            one.ends = ends_if_sent(sent);
            if (one.guard != nullptr) one.guard->reschedule(std::min(one.ends, drained_by_));
        }
    }
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
