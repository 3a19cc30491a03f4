// SPDX-License-Identifier: MIT
// Taking jobs: as many as there are free places, then a blocked read until the next one comes.
#include <algorithm>

#include "redis/work_loop.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

using namespace std::chrono_literals;

constexpr std::size_t taken_most = 64;  // at once
constexpr duration look_again = 100ms;  // whether the queue has become empty
constexpr unsigned told_when_slow = 5;  // takes in a row
constexpr duration read_grace = 5s;     // for the answer to a blocked read

std::chrono::milliseconds milliseconds(const redis::value& count) {
    return std::chrono::milliseconds(count.number());
}

}  // namespace

task<> work_loop::take_all(task_group& group) {
    bool joined = false;
    for (;;) {
        while (running_ >= limit_) co_await ended_.park();
        const bool any = co_await take_some(group);
        if (any) continue;
        if (!std::exchange(joined, true)) co_await join();
        if (!options_.until_empty || !is_empty_)
            co_await wait_for_job(group);
        else if (running_ != 0)
            co_await ended_.park();
        else
            co_return;
    }
}

task<> work_loop::join() {
    try {
        co_await queue_.run(work_step::join, {});
    } catch (const redis::error&) {  // it only tidies up
    }
}

/// Takes jobs until all places are filled or no job is left. Returns: false if there was none.
task<bool> work_loop::take_some(task_group& group) {
    const std::size_t count = std::min(limit_ - running_, taken_most);
    for (;;) {
        const time_point sent = running_loop().time();
        std::exception_ptr why;
        try {
            // Not cancelled by `drain`: jobs may be on their way.
            auto asking = ask_for_jobs(count);
            auto answer = co_await shield(std::move(asking));
            if (answer) {
                outage_over();
                wait_ = milliseconds((*answer)[0]);
                is_empty_ = (*answer)[1] == 0 && (*answer)[2] == 0;
                std::vector<held_job> jobs = jobs_of(std::move(*answer), sent);
                const bool any = !jobs.empty();
                auto starting = start_all(group, std::move(jobs));
                co_await shield(std::move(starting));
                co_return any;
            }
        } catch (const redis::connection_lost&) {
            doubt();
            why = std::current_exception();
        } catch (const redis::connection_error&) {
            why = std::current_exception();
        } catch (const redis::reply_error& error) {
            if (!is_passing(error)) throw;
            why = std::current_exception();
        }
        co_await outage(why);
    }
}

std::vector<held_job> work_loop::jobs_of(redis::value answer, time_point sent) const {
    auto fence = static_cast<std::uint64_t>(answer[3].number());
    std::vector<redis::value> parts = std::move(answer).list();
    std::vector<held_job> jobs;
    for (redis::value& each : std::move(parts.at(4)).list()) {
        std::vector<redis::value> fields = std::move(each).list();
        held_job job;
        job.consumer = consumer_;
        job.entry = std::move(fields.at(0)).text();
        job.deliveries = static_cast<unsigned>(fields.at(1).number());
        job.before = static_cast<unsigned>(fields.at(2).number());
        job.id = std::move(fields.at(3)).text();
        job.payload = std::move(fields.at(4)).text();
        job.fence = fence++;
        job.ends = ends_if_sent(sent);
        jobs.push_back(std::move(job));
    }
    return jobs;
}

/// Returns: the answer of Redis; empty if it does not come soon.
task<std::optional<redis::value>> work_loop::ask_for_jobs(std::size_t count) {
    const work_queue_options& how = queue_.options;
    work_words words = {consumer_,      std::to_string(count),      std::to_string(how.attempts),
                        milliseconds_of(how.lease), queue_.remember, queue_.marker_of("")};
    add_unseen(words, nullptr);
    struct asking : timeout_scope {
        work_loop& of;
        asking(work_loop& o, time_point when) : timeout_scope(when), of(o) { of.asking_ = this; }
        ~asking() { of.asking_ = nullptr; }
    } limit(*this, running_loop().time() + how.lease / 2);
    try {
        redis::value answer = co_await queue_.run(work_step::take, std::move(words));
        doubtful_.clear();
        co_return answer;
    } catch (const cancelled&) {
        if (!limit.timed_out()) throw;
    }
    doubt();
    co_return std::nullopt;
}

/// Waits until a job comes, or until Redis should be asked again.
task<> work_loop::wait_for_job(task_group& group) {
    duration wait = std::max<duration>(wait_, 1ms);
    if (options_.until_empty) wait = std::min(wait, look_again);
    std::exception_ptr why;
    try {
        auto reading = queue_.client.command(
            "XREADGROUP", "GROUP", work_group, consumer_, "COUNT", 1, "BLOCK",
            milliseconds_of(wait), "STREAMS", queue_.jobs_key(), ">");
        auto came = co_await move_on_after(wait + read_grace, std::move(reading));
        if (!came) doubt();
        if (!came || came->is_nil()) co_return;
        for (const redis::value& entry : (*came)[0][1]) {
            auto beginning = begin(entry, group);
            co_await shield(std::move(beginning));  // it is ours already
        }
    } catch (const redis::connection_lost&) {
        doubt();
        why = std::current_exception();
    } catch (const redis::connection_error&) {
        why = std::current_exception();
    } catch (const redis::reply_error& error) {
        // The data are gone while it waits, or the server has become a replica: the next step sees.
        if (error.code() == "NOGROUP" || error.code() == "UNBLOCKED") co_return;
        if (!is_passing(error)) throw;
        why = std::current_exception();
    }
    if (why) co_await outage(why);
}

/// The lease of a job that a read has given begins now.
task<> work_loop::begin(redis::value entry, task_group& group) {
    const time_point sent = running_loop().time();
    held_job job;
    job.entry = entry[0].text();
    job.deliveries = 1;
    if (const redis::value* const payload = entry[1].find("payload")) job.payload = payload->text();
    job.consumer = consumer_;
    work_words words = {consumer_, job.entry, std::to_string(queue_.options.attempts),
                        queue_.remember, queue_.marker_of("")};
    std::optional<redis::value> answer;
    try {
        auto asking = queue_.run(work_step::begin, std::move(words));
        answer = co_await move_on_after(queue_.options.lease / 4, std::move(asking));
    } catch (const redis::connection_lost&) {
        throw;  // the caller doubts
    } catch (const redis::error&) {  // the job is ours, and would stay so unseen
        doubt();
        throw;
    }
    if (!answer) doubt();
    if (!answer || answer->size() == 0) co_return;
    job.fence = static_cast<std::uint64_t>((*answer)[0].number());
    job.before = static_cast<unsigned>((*answer)[1].number());
    job.id = (*answer)[2].text();
    job.ends = ends_if_sent(sent);
    std::vector<held_job> jobs;
    jobs.push_back(std::move(job));
    co_await start_all(group, std::move(jobs));
}

/// If the answer of Redis was slow, little of the leases is left: they are renewed first.
task<> work_loop::start_all(task_group& group, std::vector<held_job> jobs) {
    if (jobs.empty()) co_return;
    if (is_short(jobs[0])) co_await renew_unstarted(jobs.data(), jobs.size());
    note_speed(is_short(jobs[0]));
    for (held_job& each : jobs) start(group, std::move(each));
}

void work_loop::note_speed(bool is_slow) {
    slow_takes_ = is_slow ? slow_takes_ + 1 : 0;
    if (slow_takes_ != told_when_slow) return;
    running_loop().call_exception_handler(
        {"work_queue " + queue_.name + ": jobs are given back before they begin",
         std::make_exception_ptr(redis::error("Redis answers too slowly for their leases"))});
}

void work_loop::start(task_group& group, held_job job) {
    ++running_;
    try {
        group.start(work_on(std::move(job)));
    } catch (...) {
        --running_;
        throw;
    }
}

// -- Redis cannot be reached ---------------------------------------------------------------------
task<> work_loop::outage(std::exception_ptr why) {
    if (!delays_) {
        delays_.emplace(retry_options{.attempts = 0, .delay = 20ms, .longest = 1s});
        if (why)
            running_loop().call_exception_handler(
                {"work_queue " + queue_.name + ": Redis cannot be used; it is tried again", why});
    }
    co_await sleep(delays_->next_delay());
}

void work_loop::outage_over() noexcept { delays_.reset(); }

}  // namespace detail
}  // namespace v0
}  // namespace rondo
