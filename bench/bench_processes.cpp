// SPDX-License-Identifier: MIT
// Calls in worker processes.
#include <string>
#include <vector>

#include <rondo/process_pool.hpp>

#include "cases.hpp"

namespace bench {
namespace {

std::uint64_t plus_one(std::uint64_t n) { return n + 1; }
std::string echo(std::string text) { return text; }

/// Makes a pool of that many workers, which run already.
template <class F>
measurement with_workers(std::size_t workers, std::uint64_t count, F make_calls) {
    rondo::process_pool pool(workers);
    std::vector<rondo::thread_future<std::uint64_t>> first;
    for (std::size_t i = 0; i < workers; ++i) first.push_back(pool.submit(plus_one, i));
    for (const auto& one : first) sink += one.get();
    const stopwatch watch;
    make_calls(pool);
    return watch.per(count);
}

void call_in_turn(rondo::process_pool& pool) {
    for (std::uint64_t i = 0; i < processed_in_turn; ++i) sink += pool.submit(plus_one, i).get();
}

void call_at_once(rondo::process_pool& pool) {
    std::vector<rondo::thread_future<std::uint64_t>> all;
    all.reserve(processed_at_once);
    for (std::uint64_t i = 0; i < processed_at_once; ++i) all.push_back(pool.submit(plus_one, i));
    for (const auto& one : all) sink += one.get();
}

void send_mebibytes(rondo::process_pool& pool) {
    const std::string mebibyte(std::size_t{1} << 20, 'x');
    for (std::uint64_t i = 0; i < mebibytes_sent; ++i)
        sink += pool.submit(echo, mebibyte).get().size();
}

}  // namespace

void add_process_cases(suite& cases) {
    constexpr auto value = judged::by_value;
    cases.push_back({"process_rtt", "call in a worker process, one after the other", value,
                     [] { return with_workers(1, processed_in_turn, call_in_turn); }});
    cases.push_back({"process_many", "call in 2 worker processes, 20,000 outstanding", value,
                     [] { return with_workers(2, processed_at_once, call_at_once); }});
    cases.push_back({"process_mib", "call in a worker process with 1 MiB, which comes back", value,
                     [] { return with_workers(1, mebibytes_sent, send_mebibytes); }});
}

}  // namespace bench
