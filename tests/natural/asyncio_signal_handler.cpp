// SPDX-License-Identifier: MIT
// asyncio's loop.add_signal_handler: SIGHUP reloads the configuration, SIGUSR1 tells the
// state, SIGTERM ends the program.
// Runs on: ring
//
//     reload
//     all is well
//     bye
#include <csignal>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

rondo::task<> sender() {
    for (int signal : {SIGHUP, SIGUSR1, SIGTERM}) {
        co_await rondo::sleep(std::chrono::milliseconds(5));
        std::raise(signal);
    }
}

rondo::task<> program() {
    rondo::signal_set signals(SIGHUP, SIGUSR1, SIGTERM);
    auto sending = rondo::create_task(sender());
    while (auto signal = co_await signals.next()) {
        if (signal->number == SIGTERM) break;
        fmt::print("{}\n", signal->number == SIGHUP ? "reload" : "all is well");
    }
    fmt::print("bye\n");
}

int main() { rondo::run(program()); }
