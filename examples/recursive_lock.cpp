// SPDX-License-Identifier: MIT
// Shows why a function that holds a lock needs a recursive_mutex to call one that takes the same
// lock. With a plain mutex the task waits for itself forever; here a time limit ends that, and
// describe() names the holder. A recursive_mutex lets its holder in again, and is free when every
// guard has been destroyed.
// Run: recursive_lock
//
//     a mutex held by task "main" and 1 waits
//     a mutex: not paid in time, the account has 100
//     a recursive mutex held by task "main", 2 deep
//     a recursive mutex: paid, the account has 70
#include <chrono>
#include <string>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

using namespace std::chrono_literals;

template <class Mutex>
class account {
public:
    rondo::task<> withdraw(int amount) {
        auto lock = co_await mutex_.lock();
        co_await rondo::sleep(100ms);  // the bank writes it down: no other withdrawal meanwhile
        balance_ -= amount;
    }

    rondo::task<> pay_rent() {
        auto lock = co_await mutex_.lock();  // held until withdraw has returned
        co_await withdraw(30);
    }

    int balance() const { return balance_; }
    std::string describe() const { return mutex_.describe(); }

private:
    Mutex mutex_;
    int balance_ = 100;
};

template <class Mutex>
rondo::task<> payday(std::string what) {
    account<Mutex> mine;
    rondo::timer look(50ms, [&] { fmt::print("{}\n", mine.describe()); });
    look.start();
    const bool paid = co_await rondo::move_on_after(500ms, mine.pay_rent());
    fmt::print("{}: {}, the account has {}\n", what, paid ? "paid" : "not paid in time",
               mine.balance());
}

rondo::task<> compare() {
    co_await payday<rondo::mutex>("a mutex");
    co_await payday<rondo::recursive_mutex>("a recursive mutex");
}

int main() { rondo::run(compare()); }
