// SPDX-License-Identifier: MIT
// Shows robust_mutex: four processes sell 1,000 tickets from a counter in shared memory. Without a
// lock some tickets are sold twice. With the robust lock, a seller that is killed while it holds
// the lock does not block the others.
// Run: ticket_office
//
//     without the lock more were sold than there are: yes
//     with the lock sold: 1000
//     one seller was killed with the lock; the others sold all: 1000
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

struct office {
    rondo::robust_mutex counter;
    std::atomic<int> left = 0;  // protected by the lock
    std::atomic<int> sold = 0;
    std::atomic<int> sellers = 0;  // that are ready to begin
};
constexpr int four = 4;

/// Reads the number of tickets, waits, and writes it back: needs a lock.
bool sell_one(office& at) {
    const int seen = at.left;
    if (seen == 0) return false;
    std::this_thread::sleep_for(std::chrono::microseconds(20));
    at.left = seen - 1;
    ++at.sold;
    return true;
}

/// The main function of a seller process: `ticket_office --sell DESCRIPTOR HOW`.
void sell(int descriptor, std::string_view how) {
    const auto memory = rondo::shared_memory::adopt(descriptor);
    auto& at = memory.at<office>(0);
    ++at.sellers;
    while (at.sellers < four) std::this_thread::yield();  // all begin at the same time
    for (bool more = true; more;) {
        if (how == "unlocked") {
            more = sell_one(at);
            continue;
        }
        auto held = at.counter.lock();
        if (held.owner_died()) held.mark_consistent();  // each sale is one store: nothing to repair
        if (how == "dies" && at.sold > 100) std::raise(SIGKILL);
        more = sell_one(at);
    }
}

rondo::task<int> sell_with(std::vector<std::string> sellers) {
    const rondo::shared_memory memory(sizeof(office));
    auto& at = memory.make<office>(0);
    at.left = 1'000;
    std::vector<rondo::process> running;
    for (const std::string& how : sellers) {
        rondo::command seller("/proc/self/exe", "--sell", std::to_string(memory.number()), how);
        running.push_back(seller.keep(memory.number()).spawn());
    }
    for (auto& one : running) co_await one.wait();
    co_return at.sold;
}

rondo::task<> open_the_office() {
    const std::vector<std::string> careless(four, "unlocked"), careful(four, "locked");
    const int without = co_await sell_with(careless);
    fmt::print("without the lock more were sold than there are: {}\n",
               without > 1'000 ? "yes" : "no");
    fmt::print("with the lock sold: {}\n", co_await sell_with(careful));
    auto with_one_who_dies = careful;
    with_one_who_dies[2] = "dies";
    fmt::print("one seller was killed with the lock; the others sold all: {}\n",
               co_await sell_with(with_one_who_dies));
}

int main(int argc, char** argv) {
    if (argc == 4 && std::strcmp(argv[1], "--sell") == 0)
        sell(std::atoi(argv[2]), argv[3]);
    else
        rondo::run(open_the_office());
}
