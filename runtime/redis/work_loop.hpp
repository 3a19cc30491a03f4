// SPDX-License-Identifier: MIT
// One call of work_queue::work: it takes jobs, runs them, renews their leases, and tells Redis how
// they ended.
//
// All of it runs behind a shield. A cancellation of `work` is noticed from outside the shield and
// becomes `drain`: no further job is taken, the running ones are cancelled by the scopes that also
// guard their leases, and each gives its lease back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <optional>
#include <string>
#include <vector>

#include <rondo/retry.hpp>
#include <rondo/sleep.hpp>
#include <rondo/task_group.hpp>
#include <rondo/wait_queue.hpp>

#include "redis/work_queue_state.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

/// A job under a lease, in the frame of the task that works on it.
struct held_job {
    std::string entry;     // of the stream
    std::string consumer;  // the name under which it was taken
    unsigned deliveries = 0;
    unsigned before = 0;  // attempts before this entry
    std::uint64_t fence = 0;
    std::string id;
    std::string payload;
    time_point ends{};  // the job is cancelled then, unless the lease is renewed before
    timeout_scope* guard = nullptr;
    bool is_lost = false;
    std::string why;  // it was cancelled
    list_links<held_job> links{};

    unsigned attempt() const noexcept { return before + deliveries; }
};

class work_loop {
public:
    work_loop(work_queue_state& queue, std::size_t limit, work_function fn, work_options options);
    work_loop(const work_loop&) = delete;
    work_loop& operator=(const work_loop&) = delete;

    /// Works until the queue is empty, or until it is drained.
    task<> run();
    /// Ends it soon: see the head of this file.
    void drain() noexcept { drain_by(running_loop().time() + options_.grace); }

    work_result result{};

private:
    enum class end { done, retry, dead, released, lost };
    class place;

    // -- work_take.cpp: taking
    task<> take_all(task_group& group);
    task<> join();
    task<bool> take_some(task_group& group);
    task<std::optional<redis::value>> ask_for_jobs(std::size_t count);
    task<> wait_for_job(task_group& group);
    std::vector<held_job> jobs_of(redis::value answer, time_point sent) const;
    task<> begin(redis::value entry, task_group& group);
    task<> start_all(task_group& group, std::vector<held_job> jobs);
    void start(task_group& group, held_job job);
    void note_speed(bool is_slow);
    task<> outage(std::exception_ptr why);
    void outage_over() noexcept;

    // -- work_loop.cpp: working
    task<> serve(task_group& group);
    task<> leave();
    void give_up(const held_job& job);
    void add_unseen(work_words& to, const std::string* name) const;
    void doubt();
    void drain_by(time_point when) noexcept;
    task<> work_on(held_job job);
    task<> end_earlier(held_job& job);
    task<end> attempt(held_job& job, std::string& reason);
    end how_cancelled(held_job& job, std::string& reason) const;
    task<end> settle(held_job& job, end how, std::string reason);
    task<std::optional<redis::value>> tell(const held_job& job, end how, std::string reason);
    void count(end how) noexcept;

    // -- work_renew.cpp: leases
    task<> renew_all();
    task<> renew();
    task<> renew_unstarted(held_job* jobs, std::size_t count);
    task<redis::value> ask_to_renew(work_words asked, duration limit);
    void took_renewals(const redis::value& results, const work_words& asked, time_point sent);
    void lose(held_job& job, const char* why);
    duration usable() const noexcept;
    time_point ends_if_sent(time_point sent) const noexcept {
        return saturating_add(sent, usable());
    }
    bool is_short(const held_job& job) const {
        return job.ends - running_loop().time() < queue_.options.lease / 3;
    }

    work_queue_state& queue_;
    const std::size_t limit_;
    work_function fn_;
    const work_options options_;
    std::string consumer_;  // our name among the workers
    std::deque<std::string> doubtful_;  // former names, which may have jobs that we do not know
    intrusive_list<held_job, &held_job::links> held_;
    std::deque<std::string> given_up_;  // entries whose lease runs out, and whose attempt counts
    std::size_t running_ = 0;
    wait_queue ended_;  // of jobs

    duration wait_{};             // until something is due, as Redis has said
    bool is_empty_ = false;       // the queue, as Redis has said
    unsigned slow_takes_ = 0;     // in a row
    std::optional<retry_state> delays_;  // while Redis cannot be reached
    time_point drained_by_ = time_point::max();
    timeout_scope* taking_ = nullptr;  // ended by drain
    timeout_scope* asking_ = nullptr;  // limited by drain
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
