// SPDX-License-Identifier: MIT
// The cases pool_rtt and pool_submit_N of `micro` on Boost.Asio's thread_pool with futures of
// std::packaged_task, and pool_rtt on std::async, which starts a thread for each call.
#include <future>
#include <thread>
#include <vector>

#include <boost/asio/packaged_task.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>

#include "../counts.hpp"

namespace {

using namespace bench;

std::uint64_t sink = 0;
std::uint64_t plus_one(std::uint64_t n) { return n + 1; }

auto submit(boost::asio::thread_pool& pool, std::uint64_t n) {
    // It gives the task's future.
    return boost::asio::post(pool,
                             std::packaged_task<std::uint64_t()>([n] { return plus_one(n); }));
}

measurement rtt() {
    boost::asio::thread_pool pool(1);
    const stopwatch watch;
    for (std::uint64_t i = 0; i < pooled_in_turn; ++i) sink += submit(pool, i).get();
    const measurement m = watch.per(pooled_in_turn);
    pool.join();
    return m;
}

measurement async_rtt() {
    const stopwatch watch;
    for (std::uint64_t i = 0; i < pooled_in_turn; ++i)
        sink += std::async(std::launch::async, plus_one, i).get();
    return watch.per(pooled_in_turn);
}

template <std::size_t Submitters>
measurement submits() {
    constexpr std::uint64_t each = pooled_at_once / Submitters;
    boost::asio::thread_pool pool(pool_threads);
    const stopwatch watch;
    {
        std::vector<std::jthread> submitters;
        for (std::size_t s = 0; s < Submitters; ++s)
            submitters.emplace_back([&pool] {
                std::vector<std::future<std::uint64_t>> all;
                all.reserve(each);
                for (std::uint64_t i = 0; i < each; ++i) all.push_back(submit(pool, i));
                std::uint64_t sum = 0;
                for (auto& one : all) sum += one.get();
                __atomic_fetch_add(&sink, sum, __ATOMIC_RELAXED);
            });
    }
    const measurement m = watch.per(pooled_at_once);
    pool.join();
    return m;
}

}  // namespace

int main(int argc, char** argv) {
    constexpr auto value = judged::by_value;
    suite cases;
    cases.push_back({"pool_rtt", "Boost.Asio", value, rtt});
    cases.push_back({"pool_rtt_async", "std::async", value, async_rtt});
    cases.push_back({"pool_submit_1", "Boost.Asio", value, submits<1>});
    cases.push_back({"pool_submit_2", "Boost.Asio", value, submits<2>});
    cases.push_back({"pool_submit_8", "Boost.Asio", value, submits<8>});
    return run(argc, argv, cases);
}
