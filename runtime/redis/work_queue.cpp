// SPDX-License-Identifier: MIT
// The queue as its users see it: putting jobs, working, and looking at what is there.
#include <rondo/work_queue.hpp>

#include <algorithm>
#include <charconv>
#include <stdexcept>
#include <thread>

#include "redis/work_loop.hpp"

namespace rondo {
inline namespace v0 {

namespace {

constexpr std::size_t items_at_once = 100;
constexpr std::size_t bytes_at_once = std::size_t{1} * 1024 * 1024;
constexpr std::size_t id_most = 1024;
constexpr std::size_t dead_at_once = 8;  // each may have payload_max bytes

void check(const work_item& item) {
    if (item.payload.size() > work_queue::payload_max)
        throw limit_error("work_queue: a payload has " + std::to_string(item.payload.size()) +
                          " bytes, and at most " + std::to_string(work_queue::payload_max) +
                          " are allowed: put a reference to it");
    if (item.id.size() > id_most)
        throw std::invalid_argument("work_queue: an id has at most 1024 bytes");
    if (item.delay < duration::zero())
        throw std::invalid_argument("work_queue: a delay is not negative");
}

using state_pointer = std::shared_ptr<detail::work_queue_state>;

/// Items of one step. Returns the number of those that were put.
task<std::size_t> put_items(state_pointer state, work_item* items, std::size_t count,
                            std::vector<put_result>& results) {
    detail::work_words words = {state->remember}, markers;
    std::size_t taken = 0;
    for (std::size_t bytes = 0; taken < count && taken < items_at_once; ++taken) {
        work_item& item = items[taken];
        bytes += item.payload.size();
        if (taken != 0 && bytes > bytes_at_once) break;
        // A token of this put: if its reply is lost, the repeated step finds its own token.
        std::string token = detail::random_digits();
        if (item.id.empty()) item.id = token;
        markers.push_back(state->marker_of(item.id));
        words.push_back(std::move(token));
        words.push_back(item.id);
        words.push_back(detail::milliseconds_of(item.delay));
        words.push_back(std::move(item.payload));
    }
    const redis::value answer = co_await state->run_surely(
        detail::work_step::put, std::move(words), std::move(markers));
    for (std::size_t i = 0; i < taken; ++i)
        results.push_back(answer[i] == 1 ? put_result::added : put_result::known);
    co_return taken;
}

task<std::vector<put_result>> put_all(state_pointer state, std::vector<work_item> items) {
    for (const work_item& each : items) check(each);
    std::vector<put_result> results;
    results.reserve(items.size());
    for (std::size_t at = 0; at < items.size();)
        at += co_await put_items(state, items.data() + at, items.size() - at, results);
    co_return results;
}

task<put_result> put_one(state_pointer state, work_item item) {
    check(item);
    std::vector<put_result> results;
    co_await put_items(std::move(state), &item, 1, results);
    co_return results[0];
}

dead_job dead_job_of(redis::value entry) {
    std::vector<redis::value> fields = std::move(entry).list();
    const std::string& place = fields.at(0).text();
    dead_job job;
    job.id = std::move(fields.at(1)).text();
    job.payload = std::move(fields.at(2)).text();
    job.attempts = static_cast<unsigned>(fields.at(3).number());
    job.reason = std::move(fields.at(4)).text();
    std::int64_t milliseconds = 0;
    std::from_chars(place.data(), place.data() + place.size(), milliseconds);
    job.since = std::chrono::system_clock::time_point(std::chrono::milliseconds(milliseconds));
    return job;
}

task<std::vector<dead_job>> dead_jobs(state_pointer state, std::size_t count) {
    std::vector<dead_job> jobs;
    std::string before = "+";
    while (jobs.size() < count) {
        const std::size_t wanted = std::min(count - jobs.size(), dead_at_once);
        detail::work_words words = {before, std::to_string(wanted)};
        redis::value page = co_await state->run_surely(detail::work_step::dead, std::move(words));
        std::vector<redis::value> entries = std::move(page).list();
        if (!entries.empty()) before = "(" + entries.back()[0].text();
        const bool is_last = entries.size() < wanted;
        for (redis::value& each : entries) jobs.push_back(dead_job_of(std::move(each)));
        if (is_last) break;
    }
    co_return jobs;
}

task<work_stats> stats_of(state_pointer state) {
    const redis::value answer = co_await state->run_surely(detail::work_step::stats, {});
    const auto number = [&](std::size_t i) {
        return static_cast<std::uint64_t>(answer[i].number());
    };
    work_stats stats;
    stats.waiting = number(0);
    stats.leased = number(1);
    stats.later = number(2);
    stats.dead = number(3);
    stats.oldest = std::chrono::milliseconds(answer[4].number());
    co_return stats;
}

task<bool> change(state_pointer state, detail::work_step step, std::string id) {
    detail::work_words words = {id, state->remember};
    auto markers = state->markers_of(id);
    const redis::value answer =
        co_await state->run_with(step, std::move(words), std::move(markers));
    co_return answer.number() != 0;
}

/// Drains a loop when its task is cancelled, or destroyed before it began.
class drained_at_end {
public:
    explicit drained_at_end(detail::work_loop& loop) noexcept : loop_(&loop) {}
    drained_at_end(drained_at_end&& other) noexcept : loop_(std::exchange(other.loop_, nullptr)) {}
    ~drained_at_end() {
        if (loop_ != nullptr) loop_->drain();
    }

private:
    detail::work_loop* loop_;
};

constexpr auto watches = wait_queue::kind("a cancellation of work");

task<> watch_cancellation(drained_at_end, wait_queue& never) {
    co_await never.park(
        watches, [](void*) noexcept {}, nullptr);
}

task<work_result> work_on_all(state_pointer state, std::size_t limit, detail::work_function fn,
                              work_options options) {
    if (limit == 0) throw std::invalid_argument("work_queue: a limit of 0 would never work");
    if (cancel_requested()) throw cancelled();
    detail::work_loop loop(*state, limit, std::move(fn), options);
    wait_queue never;
    co_await with_task_group([&](task_group& group) -> task<> {
        group.start(watch_cancellation(drained_at_end(loop), never));
        co_await shield(loop.run());
        group.cancel();
    });
    co_return loop.result;
}

}  // namespace

work_failed::~work_failed() = default;

work_queue::work_queue(state_pointer state) noexcept : state_(std::move(state)) {}
work_queue::work_queue(work_queue&&) noexcept = default;
work_queue& work_queue::operator=(work_queue&&) noexcept = default;
work_queue::~work_queue() = default;

task<work_queue> work_queue::open(std::string url, std::string name, work_queue_options options) {
    redis::client client(url);
    co_return co_await open(std::move(client), std::move(name), options);
}
task<work_queue> work_queue::open(redis::client client, std::string name,
                                  work_queue_options options) {
    auto state = std::make_shared<detail::work_queue_state>(std::move(client), std::move(name),
                                                            options);
    co_await state->prepare();
    co_return work_queue(std::move(state));
}

task<put_result> work_queue::put(std::string payload, put_options options) {
    work_item item;
    item.payload = std::move(payload);
    item.id = options.id;
    item.delay = options.delay;
    return put_one(state_, std::move(item));
}
task<std::vector<put_result>> work_queue::put_many(std::vector<work_item> items) {
    return put_all(state_, std::move(items));
}

task<work_result> work_queue::run(std::size_t limit, detail::work_function fn,
                                  work_options options) {
    return work_on_all(state_, limit, std::move(fn), options);
}
std::size_t work_queue::processors() { return std::max(1U, std::thread::hardware_concurrency()); }

task<work_stats> work_queue::stats() { return stats_of(state_); }
task<std::vector<dead_job>> work_queue::dead(std::size_t count) { return dead_jobs(state_, count); }
task<bool> work_queue::revive(std::string id) {
    return change(state_, detail::work_step::revive, std::move(id));
}
task<bool> work_queue::forget(std::string id) {
    return change(state_, detail::work_step::forget, std::move(id));
}

const std::string& work_queue::name() const noexcept { return state_->name; }
rondo::durability work_queue::durability() const noexcept { return state_->found; }
const redis::client& work_queue::redis() const noexcept { return state_->client; }

}  // namespace v0
}  // namespace rondo
