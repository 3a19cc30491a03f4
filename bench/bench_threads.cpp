// SPDX-License-Identifier: MIT
// Other threads: calls on a thread, and callbacks posted by a thread.
#include <unistd.h>

#include <thread>
#include <vector>

#include <rondo/executor.hpp>
#include <rondo/future.hpp>
#include <rondo/thread_pool.hpp>

#include "cases.hpp"

namespace bench {
namespace {

std::uint64_t touched = 0;  // used by the pool's only thread
void touch() { ++touched; }

rondo::task<> offload_in_turn() {
    for (std::uint64_t i = 0; i < offloaded_in_turn; ++i) co_await rondo::to_thread(touch);
}

rondo::task<> offload_one() { co_await rondo::to_thread(touch); }

rondo::task<> offload_at_once() {
    std::vector<rondo::future<>> all;
    all.reserve(offloaded_at_once);
    for (std::uint64_t i = 0; i < offloaded_at_once; ++i)
        all.push_back(rondo::create_task(offload_one()));
    for (const auto& one : all) co_await one;
}

template <class F>
measurement with_one_thread(std::uint64_t count, F begin) {
    rondo::loop loop;
    loop.set_default_executor(rondo::thread_pool(1));
    const stopwatch watch;
    loop.run_until_complete(begin());
    return watch.per(count);
}

std::uint64_t plus_one(std::uint64_t n) { return n + 1; }

measurement pool_rtt() {
    rondo::thread_pool pool(1);
    const stopwatch watch;
    for (std::uint64_t i = 0; i < pooled_in_turn; ++i) sink += pool.submit(plus_one, i).get();
    return watch.per(pooled_in_turn);
}

rondo::task<> await_in_turn(rondo::thread_pool& pool) {
    for (std::uint64_t i = 0; i < pooled_in_turn; ++i) sink += co_await pool.submit(plus_one, i);
}

measurement pool_await_rtt() {
    rondo::thread_pool pool(1);
    return measured(pooled_in_turn, [&] { return await_in_turn(pool); });
}

/// Measures from the first submit to the last result, of all submitters together.
template <std::size_t Submitters>
measurement pool_submit() {
    constexpr std::uint64_t each = pooled_at_once / Submitters;
    rondo::thread_pool pool(pool_threads);
    const stopwatch watch;
    std::vector<std::jthread> submitters;
    for (std::size_t s = 0; s < Submitters; ++s)
        submitters.emplace_back([&pool] {
            std::vector<rondo::thread_future<std::uint64_t>> all;
            all.reserve(each);
            for (std::uint64_t i = 0; i < each; ++i) all.push_back(pool.submit(plus_one, i));
            std::uint64_t sum = 0;
            for (const auto& one : all) sum += one.get();
            __atomic_fetch_add(&sink, sum, __ATOMIC_RELAXED);
        });
    submitters.clear();
    return watch.per(pooled_at_once);
}

/// A loop that counts the callbacks that another thread posts to it.
class counting_loop {
public:
    explicit counting_loop(std::uint64_t expected) : expected_(expected) {}

    rondo::remote remote() const { return loop_.remote(); }
    void count() {
        if (++counted_ == expected_) all_.set_value();
    }
    void run() { loop_.run_until_complete(all_.get_future()); }

private:
    rondo::loop loop_;
    rondo::promise<> all_ = loop_.create_promise<void>();
    std::uint64_t expected_;
    std::uint64_t counted_ = 0;
};

measurement post_throughput() {
    counting_loop counting(posts);
    const stopwatch watch;
    std::thread poster([&counting] {
        const rondo::remote remote = counting.remote();
        for (std::uint64_t i = 0; i < posts; ++i)
            remote.call_soon_threadsafe([&counting] { counting.count(); });
    });
    counting.run();
    poster.join();
    return watch.per(posts);
}

// A post carries one word without cost, which is the time. So the loop is in a global variable.
counting_loop* timed_loop = nullptr;
std::vector<double> waited;

measurement post_latency() {
    counting_loop counting(posts_to_idle);
    timed_loop = &counting;
    waited.reserve(posts_to_idle);
    std::thread poster([&counting] {
        const rondo::remote remote = counting.remote();
        for (std::uint64_t i = 0; i < posts_to_idle; ++i) {
            ::usleep(pause_between_posts_us);
            remote.call_soon_threadsafe([posted = wall()] {
                waited.push_back(static_cast<double>(wall() - posted));
                timed_loop->count();
            });
        }
    });
    counting.run();
    poster.join();
    return latencies(waited);
}

}  // namespace

void add_thread_cases(suite& cases) {
    constexpr auto value = judged::by_value;
    cases.push_back({"offload_rtt", "call on a thread, one after the other", value,
                     [] { return with_one_thread(offloaded_in_turn, offload_in_turn); }});
    cases.push_back({"offload_many", "call on a thread, 200,000 outstanding", value,
                     [] { return with_one_thread(offloaded_at_once, offload_at_once); }});
    cases.push_back(
        {"pool_rtt", "submit and get, one after the other, on plain threads", value, pool_rtt});
    cases.push_back(
        {"pool_await_rtt", "submit and await, one after the other", value, pool_await_rtt});
    cases.push_back({"pool_submit_1", "submit by one thread, 400,000 outstanding, 2 workers", value,
                     pool_submit<1>});
    cases.push_back({"pool_submit_2", "the same by 2 threads", value, pool_submit<2>});
    cases.push_back({"pool_submit_8", "the same by 8 threads", value, pool_submit<8>});
    cases.push_back({"post_tput", "callback posted by another thread, as fast as it can", value,
                     post_throughput});
    cases.push_back(
        {"post_latency", "from a post into an idle loop to its call", value, post_latency});
}

}  // namespace bench
