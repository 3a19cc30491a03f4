// SPDX-License-Identifier: MIT
// Shows a thread pool that prints leaflets. map_async begins at once and gives one future for all
// results. A pool that leaves its scope cancels the jobs in its queue, unless on_destruction says
// that they run.
// Run: print_shop
//
//     the press runs
//     4 leaflets have 9 pages
//     packed 1
//     packed 2
//     packed 3
//     the shop closes, 3 parcels are packed
//     ann is served
//     the clerk went home and did not clean
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

int print(const std::string& leaflet) { return static_cast<int>(leaflet.size()); }  // its pages

// All of the queue is packed, as at the end of Python's `with ThreadPoolExecutor()`.
int pack_everything() {
    int packed = 0;
    {
        rondo::thread_pool packers({.core = 1, .on_destruction = rondo::queued_jobs::run});
        for (int parcel = 1; parcel <= 3; ++parcel)
            packers.submit([parcel, &packed] {
                fmt::print("packed {}\n", parcel);
                ++packed;
            });
    }  // waits for the three jobs
    return packed;
}

void serve_counter(std::stop_token stop, rondo::bridge_queue<std::string>& customers) {
    while (auto name = customers.blocking_next(stop)) {  // empty once a stop is requested
        fmt::print("{} is served\n", *name);
        customers.task_done();
    }
}

// The default: a job that runs is asked to stop, and what has not begun is cancelled.
void close_early() {
    rondo::bridge_queue<std::string> customers;
    rondo::thread_future<> cleaning;
    {
        rondo::thread_pool clerk(1);
        clerk.submit(serve_counter, std::ref(customers));
        cleaning = clerk.submit([] { fmt::print("the shop is clean\n"); });
        customers.blocking_put("ann");
        customers.blocking_join();
    }
    try {
        cleaning.get();
    } catch (const rondo::future_cancelled&) {
        fmt::print("the clerk went home and did not clean\n");
    }
}

rondo::task<> shop() {
    rondo::thread_pool presses(2);
    const std::vector<std::string> leaflets{"yes", "no", "if", "or"};
    auto pages = presses.map_async(print, leaflets);
    fmt::print("the press runs\n");

    int sum = 0;
    for (const int each : co_await pages) sum += each;
    fmt::print("{} leaflets have {} pages\n", leaflets.size(), sum);
    co_await presses.close();
}

int main() {
    rondo::run(shop());
    fmt::print("the shop closes, {} parcels are packed\n", pack_everything());
    close_early();
}
