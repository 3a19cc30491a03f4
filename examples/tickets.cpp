// SPDX-License-Identifier: MIT
// Shows when tasks need a mutex: a hundred buyers and five tickets. Between two awaits no other
// task runs, so a counter needs no lock. But a value that was read before an await may have changed
// after it. Reading and writing with an await in between needs a mutex.
// Run: tickets
//
//     without a mutex 100 tickets were sold, of 5
//     with a mutex 5 tickets were sold, of 5
#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

using namespace std::chrono_literals;

struct box_office {
    int left = 5;
    rondo::mutex counter;
};

rondo::task<bool> buy(box_office& office) {
    if (office.left == 0) co_return false;
    co_await rondo::sleep(10ms);  // paying; meanwhile the other buyers see five tickets too
    --office.left;
    co_return true;
}

rondo::task<bool> buy_in_line(box_office& office) {
    auto turn = co_await office.counter.lock();  // held until the end of this function
    co_return co_await buy(office);
}

rondo::task<long> sell(rondo::task<bool> (*buyer)(box_office&)) {
    box_office office;
    std::vector<rondo::task<bool>> buyers;
    for (int i = 0; i < 100; ++i) buyers.push_back(buyer(office));
    const auto got_one = co_await rondo::gather(std::move(buyers));
    co_return std::count(got_one.begin(), got_one.end(), true);
}

rondo::task<> evening() {
    fmt::print("without a mutex {} tickets were sold, of 5\n", co_await sell(buy));
    fmt::print("with a mutex {} tickets were sold, of 5\n", co_await sell(buy_in_line));
}

int main() { rondo::run(evening()); }
