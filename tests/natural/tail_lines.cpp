// SPDX-License-Identifier: MIT
// An async generator of lines: filter them and take the first two, while they are still written.
// Runs on: ring and simulator
//
//     ERROR disk full
//     ERROR out of paper
#include <chrono>
#include <string>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

using namespace std::chrono_literals;

rondo::task<> service(rondo::unix_stream log) {
    for (auto line : {"INFO started", "ERROR disk full", "INFO still here", "ERROR out of paper",
                      "ERROR on fire"}) {
        co_await log.write_all(line, "\n");
        co_await rondo::sleep(2ms);
    }
}

rondo::async_generator<std::string> lines(rondo::unix_stream log) {
    while (auto line = co_await log.read_line()) co_yield *line;
}

rondo::task<> watch_errors(rondo::unix_stream log) {
    auto is_error = [](const std::string& line) { return line.starts_with("ERROR"); };
    auto errors = lines(std::move(log)).filter(is_error).take(2);
    while (auto line = co_await errors.next()) fmt::print("{}\n", *line);
}

rondo::task<> program() {
    auto [a, b] = rondo::socket_pair();
    auto running = rondo::create_task(service(std::move(a)));
    co_await watch_errors(std::move(b));
    running.cancel();
}

int main() { rondo::run(program()); }
