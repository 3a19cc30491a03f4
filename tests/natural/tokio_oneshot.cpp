// SPDX-License-Identifier: MIT
// Tokio's tutorial, channels: a manager task owns the data; each command brings a oneshot for its
// answer.
// Runs on: ring and simulator
//
//     got 1
//     got 2
//     the manager has ended: the promise was dropped
#include <string>
#include <utility>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

struct command {
    std::string key;
    rondo::promise<int> answer;
};

rondo::task<> manager(rondo::queue<command>& commands) {
    int served = 0;
    while (auto request = co_await commands.next()) {
        if (request->key == "crash") co_return;  // drops the promise
        request->answer.set_value(++served);
    }
}

rondo::task<int> ask(rondo::queue<command>& commands, std::string key) {
    rondo::promise<int> answer;
    auto future = answer.get_future();
    command request{key, std::move(answer)};
    auto put = commands.put(std::move(request));
    co_await put;
    co_return co_await future;
}

rondo::task<> program() {
    rondo::queue<command> commands(32);
    auto task = rondo::create_task(manager(commands));
    fmt::print("got {}\n", co_await ask(commands, "hello"));
    fmt::print("got {}\n", co_await ask(commands, "hello"));
    try {
        fmt::print("got {}\n", co_await ask(commands, "crash"));
    } catch (const rondo::error&) {
        fmt::print("the manager has ended: the promise was dropped\n");
    }
    co_await task;
}

int main() { rondo::run(program()); }
