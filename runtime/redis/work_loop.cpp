// SPDX-License-Identifier: MIT
// Running jobs, and telling Redis how they ended.
#include "redis/work_loop.hpp"

#include <unistd.h>

#include <algorithm>

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

using namespace std::chrono_literals;

constexpr duration farewell = 2s;  // for giving leases back, after the jobs have ended
constexpr std::size_t reason_most = 1000;
constexpr std::size_t given_up_most = 1000;
constexpr std::size_t doubtful_most = 20;

/// "host:4711:0123456789abcdef:lease=30000": other workers read the lease in it.
std::string consumer_name(duration lease) {
    char host[65] = {};
    if (::gethostname(host, sizeof host - 1) != 0) host[0] = '\0';
    return std::string(host) + ':' + std::to_string(::getpid()) + ':' + random_digits() +
           ":lease=" + milliseconds_of(lease);
}

/// Delay before the attempt after this one.
duration delay_after(unsigned attempt, const work_backoff& how) {
    retry_state delays({.attempts = 0, .delay = how.first, .longest = how.most});
    duration delay = delays.next_delay();
    for (unsigned i = 1; i < std::min(attempt, 64U); ++i) delay = delays.next_delay();
    return delay;
}

}  // namespace

work_loop::work_loop(work_queue_state& queue, std::size_t limit, work_function fn,
                     work_options options)
    : queue_(queue),
      limit_(limit),
      fn_(std::move(fn)),
      options_(options),
      consumer_(consumer_name(queue.options.lease)) {}

task<> work_loop::run() {
    co_await with_task_group([this](task_group& group) { return serve(group); });
}

task<> work_loop::serve(task_group& group) {
    auto renewing = group.start(renew_all());
    std::exception_ptr failure;
    {
        timeout_scope taking(time_point::max());
        taking_ = &taking;
        if (drained_by_ != time_point::max()) taking.reschedule(time_point());
        try {
            co_await take_all(group);
        } catch (const cancelled&) {
            if (!taking.timed_out()) failure = std::current_exception();  // the end of the loop
        } catch (...) {
            failure = std::current_exception();
        }
        taking_ = nullptr;
    }
    if (failure) drain_by(running_loop().time());
    while (running_ != 0) co_await ended_.park();
    renewing.cancel();
    co_await leave();
    if (failure) std::rethrow_exception(failure);
}

/// Gives back what may have been delivered to this worker unseen, and forgets the worker.
task<> work_loop::leave() {
    try {
        work_words words;
        add_unseen(words, &consumer_);
        auto leaving = queue_.run(work_step::leave, std::move(words));
        co_await move_on_after(farewell, std::move(leaving));
    } catch (const std::exception&) {  // the leases run out by themselves
    }
}

/// The attempt has begun, so it counts: its lease runs out, and is not given back.
void work_loop::give_up(const held_job& job) {
    if (given_up_.size() >= given_up_most) given_up_.pop_front();
    given_up_.push_back(job.entry);
}

/// Appends the names under which jobs may have been given to us in replies that were lost, and the
/// entries under these names that are known.
void work_loop::add_unseen(work_words& to, const std::string* name) const {
    to.push_back(std::to_string(doubtful_.size() + (name != nullptr ? 1 : 0)));
    to.insert(to.end(), doubtful_.begin(), doubtful_.end());
    if (name != nullptr) to.push_back(*name);
    if (doubtful_.empty() && name == nullptr) return;
    for (const held_job* each = held_.first(); each != nullptr; each = held_.next(*each))
        to.push_back(each->entry);
    to.insert(to.end(), given_up_.begin(), given_up_.end());
}

/// Redis may have given us a job in a reply that was lost, or may give one yet: a request on a lost
/// connection can be the last to arrive. So the name is not used any more. The next step gives back
/// the jobs of the old name that we do not hold. That step, if it is late itself, cannot touch a
/// job that was taken under a newer name.
void work_loop::doubt() {
    doubtful_.push_back(consumer_);
    if (doubtful_.size() > doubtful_most) doubtful_.pop_front();  // their leases run out
    consumer_ = consumer_name(queue_.options.lease);
}

void work_loop::drain_by(time_point when) noexcept {
    drained_by_ = std::min(drained_by_, when);
    for (held_job* each = held_.first(); each != nullptr; each = held_.next(*each))
        if (each->guard != nullptr && each->guard->when() > drained_by_)
            each->guard->reschedule(drained_by_);
    if (asking_ != nullptr && asking_->when() > when + farewell)
        asking_->reschedule(when + farewell);
    if (taking_ != nullptr) taking_->reschedule(time_point());
}

// -- a job ---------------------------------------------------------------------------------------
/// A job's place among the running ones.
class work_loop::place {
public:
    place(work_loop& of, held_job& job) noexcept : of_(of), job_(job) { of_.held_.append(job_); }
    place(const place&) = delete;
    place& operator=(const place&) = delete;
    ~place() {
        of_.held_.remove(job_);
        --of_.running_;
        of_.ended_.unpark_all();
    }

private:
    work_loop& of_;
    held_job& job_;
};

task<> work_loop::work_on(held_job job) {
    const place taken(*this, job);
    std::string reason;
    end how = end::released;
    co_await end_earlier(job);
    if (job.is_lost)
        how = end::lost;
    else if (drained_by_ == time_point::max() && !is_short(job))  // else it is given back
        how = co_await attempt(job, reason);
    how = co_await settle(job, how, std::move(reason));
    if (how == end::lost) give_up(job);
    count(how);
}

/// A server that has lost data may give us a job that we have at work. The earlier copy is
/// cancelled, and the later one waits for its end.
task<> work_loop::end_earlier(held_job& job) {
    bool any = false;
    for (;;) {
        held_job* each = held_.first();
        while (each != &job && each->entry != job.entry) each = held_.next(*each);
        if (each == &job) break;
        any = true;
        lose(*each, "Redis has lost data, and gave it to this worker again");
        co_await ended_.park();
    }
    if (any) co_await renew_unstarted(&job, 1);  // the earlier copy may have ended it
}

task<work_loop::end> work_loop::attempt(held_job& job, std::string& reason) {
    work_lease lease(job);
    timeout_scope guard(std::min(job.ends, drained_by_));
    job.guard = &guard;
    end how = end::retry;
    try {
        co_await fn_(job.payload, lease);
        how = end::done;
    } catch (const work_failed& error) {
        reason = error.what();
        how = end::dead;
    } catch (const cancelled&) {
        if (!guard.expired() && cancel_requested()) {  // the end of the loop
            job.guard = nullptr;
            throw;
        }
        how = how_cancelled(job, reason);
    } catch (const std::exception& error) {
        reason = error.what();
    } catch (...) {
        reason = "it threw something that is no std::exception";
    }
    job.guard = nullptr;
    if (how == end::retry && job.attempt() >= queue_.options.attempts) how = end::dead;
    co_return how;
}

work_loop::end work_loop::how_cancelled(held_job& job, std::string& reason) const {
    const time_point now = running_loop().time();
    if (!job.is_lost && now < job.ends && now >= drained_by_) return end::released;
    if (job.is_lost || now >= job.ends) return end::lost;
    reason = "it was cancelled, and not by its worker";
    return end::retry;
}

// -- its end -------------------------------------------------------------------------------------
task<work_loop::end> work_loop::settle(held_job& job, end how, std::string reason) {
    if (how == end::lost) co_return how;
    retry_state delays({.attempts = 0, .delay = 10ms, .longest = 1s});
    bool may_have_run = false;
    for (;;) {
        try {
            const auto answer = co_await tell(job, how, reason);
            if (!answer) {
                may_have_run = true;
            } else if (*answer == 0) {  // not ours any more: it was settled by us, or is lost
                co_return may_have_run ? how : end::lost;
            } else {
                co_return how;
            }
        } catch (const redis::connection_lost&) {
            may_have_run = true;
        } catch (const redis::connection_error&) {
        } catch (const redis::reply_error& error) {
            if (!is_passing(error)) {
                running_loop().call_exception_handler(
                    {"work_queue " + queue_.name + ": Redis refused the end of a job",
                     std::current_exception()});
                co_return end::lost;
            }
        }
        // A lease that cannot be given back in time runs out by itself.
        const time_point now = running_loop().time();
        if (now >= job.ends || (now >= drained_by_ && now - drained_by_ >= farewell))
            co_return end::lost;
        co_await sleep(delays.next_delay());
    }
}

/// Returns: the answer of Redis; empty if it does not come soon.
task<std::optional<redis::value>> work_loop::tell(const held_job& job, end how,
                                                  std::string reason) {
    work_words words = {job.consumer, job.entry, std::to_string(job.deliveries)};
    work_step step = work_step::release;
    if (how == end::done) {
        step = work_step::done;
        words.push_back(queue_.remember);
    } else if (how != end::released) {
        step = work_step::retry;
        words.push_back(queue_.remember);
        words.push_back(how == end::dead
                            ? "-1"
                            : milliseconds_of(delay_after(job.attempt(), queue_.options.backoff)));
        words.push_back(reason.substr(0, reason_most));
    }
    duration limit = queue_.options.lease / 4;
    if (running_loop().time() >= drained_by_) limit = std::min(limit, farewell);
    auto asking = queue_.run(step, std::move(words), job.id);
    co_return co_await move_on_after(limit, std::move(asking));
}

void work_loop::count(end how) noexcept {
    switch (how) {
        case end::done: ++result.done; break;
        case end::retry: ++result.retried; break;
        case end::dead: ++result.dead; break;
        case end::released: ++result.released; break;
        case end::lost: ++result.lost; break;
    }
}

}  // namespace detail

// -- what a job sees -----------------------------------------------------------------------------
const std::string& work_lease::id() const noexcept { return job_->id; }
unsigned work_lease::attempt() const noexcept { return job_->attempt(); }
std::uint64_t work_lease::fence() const noexcept { return job_->fence; }
duration work_lease::remaining() const {
    return std::max(job_->ends - running_loop().time(), duration::zero());
}
bool work_lease::lost() const noexcept {
    return job_->is_lost || running_loop().time() >= job_->ends;
}
std::string_view work_lease::why() const noexcept {
    if (!job_->why.empty()) return job_->why;
    if (lost()) return "Redis did not answer until the lease had run out";
    return job_->guard != nullptr && job_->guard->expired() ? "the worker is stopping" : "";
}

}  // namespace v0
}  // namespace rondo
