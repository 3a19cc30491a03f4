// SPDX-License-Identifier: MIT
// Shows how tasks use an old library that blocks, must stay on one thread, and calls you back. A
// pool of one thread runs the library, and tasks await each query. The callback uses block_on to
// run a task on the loop and wait for it.
// Run: legacy_library
//
//     alice asks about tea: 3 cups
//     bob asks about milk: 4 cups
//     carol asks about sugar: 5 cups
//     the loop went on meanwhile; one thread did it all
#include <chrono>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <thread>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

using namespace std::chrono_literals;

// -- the library: blocking, bound to one thread, with a callback ----------------------------------
class old_database {
public:
    explicit old_database() : owner_(std::this_thread::get_id()) {}
    int query(const std::string& what, const std::function<int(const std::string&)>& on_row) {
        threads_.insert(std::this_thread::get_id());
        std::this_thread::sleep_for(20ms);  // it blocks
        return on_row(what);
    }
    bool stayed_at_home() const { return threads_ == std::set{owner_}; }

private:
    std::thread::id owner_;
    std::set<std::thread::id> threads_;
};

// -- rondo around it ------------------------------------------------------------------------------
class database {
public:
    static rondo::task<database> open() {
        database opened;
        opened.old_ = co_await rondo::run_in_executor(
            opened.thread_, [] { return std::make_unique<old_database>(); });
        co_return opened;
    }
    rondo::task<int> query(std::string what) {
        co_return co_await rondo::run_in_executor(thread_, [&] {
            return old_->query(
                what, [](const std::string& row) { return rondo::block_on(look_up(row)); });
        });
    }
    rondo::task<bool> close() {
        const bool stayed = co_await rondo::run_in_executor(thread_, [&] {
            const bool at_home = old_->stayed_at_home();
            old_.reset();
            return at_home;
        });
        co_await thread_.close();
        co_return stayed;
    }

private:
    static rondo::task<int> look_up(std::string row) {  // runs on the loop, and may await
        co_await rondo::sleep(5ms);
        co_return static_cast<int>(row.size());
    }

    rondo::thread_pool thread_{1};
    std::unique_ptr<old_database> old_;
};

rondo::task<> ask(database& db, std::string who, std::string about) {
    const int cups = co_await db.query(about);
    fmt::print("{} asks about {}: {} cups\n", who, about, cups);
}

rondo::task<> heartbeat(int& beats) {
    for (;; ++beats) co_await rondo::sleep(1ms);
}

rondo::task<> drive() {
    database db = co_await database::open();
    int beats = 0;
    co_await rondo::with_task_group([&](rondo::task_group& group) -> rondo::task<> {
        group.start(heartbeat(beats));
        co_await rondo::gather(ask(db, "alice", "tea"), ask(db, "bob", "milk"),
                               ask(db, "carol", "sugar"));
        group.cancel();
    });
    const bool one_thread = co_await db.close();
    fmt::print("the loop {} meanwhile; {} did it all\n", beats > 10 ? "went on" : "stood still",
               one_thread ? "one thread" : "several threads");
}

int main() { rondo::run(drive()); }
