// SPDX-License-Identifier: MIT
// A cache of futures: tasks that ask for one key at the same time share one request.
// Runs on: ring and simulator
//
//     asking the database for ann
//     asking the database for bob
//     ann ann bob ann
#include <chrono>
#include <map>
#include <string>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

using namespace std::chrono_literals;

class user_cache {
public:
    rondo::task<std::string> get(std::string key) {
        auto found = users_.find(key);
        if (found == users_.end())
            found = users_.emplace(key, rondo::create_task(load(key))).first;
        co_return co_await found->second;
    }

private:
    static rondo::task<std::string> load(std::string key) {
        fmt::print("asking the database for {}\n", key);
        co_await rondo::sleep(5ms);
        co_return key;
    }
    std::map<std::string, rondo::future<std::string>> users_;
};

rondo::task<> program() {
    user_cache users;
    auto [a, b, c] = co_await rondo::gather(users.get("ann"), users.get("ann"), users.get("bob"));
    fmt::print("{} {} {} {}\n", a, b, c, co_await users.get("ann"));
}

int main() { rondo::run(program()); }
