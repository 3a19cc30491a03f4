// SPDX-License-Identifier: MIT
// Tokio's tutorial, select: an operation runs on over several turns of a loop of select; commands
// come meanwhile. No command and no byte is lost.
// Runs on: ring and simulator
//
//     command: pause
//     command: resume
//     lines: one two three
//     operation: 42
#include <chrono>
#include <string>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

using namespace std::chrono_literals;

rondo::task<int> operation() {
    co_await rondo::sleep(100ms);
    co_return 42;
}

rondo::task<> peer(rondo::unix_stream stream, rondo::queue<std::string>& commands) {
    co_await commands.put("pause");
    co_await stream.write_all("one\ntw");
    co_await rondo::sleep(2ms);
    co_await commands.put("resume");
    co_await rondo::sleep(2ms);
    co_await stream.write_all("o\nthree\n");
    co_await rondo::sleep(1h);
}

rondo::task<> loop(rondo::unix_stream stream, rondo::queue<std::string>& commands) {
    auto running = rondo::create_task(operation());
    std::string lines;
    while (true) {
        auto what = co_await rondo::select(commands.next(), stream.read_line(), running);
        if (what.index() == 0) fmt::print("command: {}\n", *std::get<0>(what));
        if (what.index() == 1) lines += " " + std::get<1>(what).value();
        if (what.index() == 2) break;
    }
    fmt::print("lines:{}\noperation: {}\n", lines, running.result());
}

rondo::task<> program() {
    rondo::queue<std::string> commands;
    auto [a, b] = rondo::socket_pair();
    co_await rondo::race(loop(std::move(a), commands), peer(std::move(b), commands));
}

int main() { rondo::run(program()); }
