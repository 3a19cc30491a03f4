// SPDX-License-Identifier: MIT
// Shows a server of several processes: one listening socket, N workers that accept from it, each
// with its own loop, and a parent that starts another worker if one dies. A worker answers each
// line in capitals; the line "crash" makes it crash.
// Run: prefork_server [PORT [WORKERS]], then: nc 127.0.0.1 7098
#include <cctype>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

using namespace std::chrono_literals;

// -- a worker -------------------------------------------------------------------------------------

rondo::task<> in_capitals(rondo::tcp_stream peer, int number) {
    while (auto line = co_await peer.read_line()) {
        if (*line == "crash") std::raise(SIGKILL);
        for (char& c : *line) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
        co_await peer.write_all(fmt::format("worker {}: {}\n", number, *line));
    }
}

/// The function of a worker process. Ctrl-C is for the parent, which ends the workers by SIGTERM.
void serve_as(rondo::tcp_listener listener, int number) {
    std::signal(SIGINT, SIG_IGN);
    const auto handler = [number](rondo::tcp_stream peer) {
        return in_capitals(std::move(peer), number);
    };
    rondo::run(rondo::serve(std::move(listener), handler), {.handle_sigterm = true});
}

// -- the parent -----------------------------------------------------------------------------------

/// Keeps one worker running. When it is cancelled, the worker is ended with `worker`.
rondo::task<> keep_running(rondo::tcp_listener& listener, int number) {
    for (;;) {
        const std::string name = fmt::format("worker {}", number);
        auto worker = rondo::start_process({.name = name, .daemon = true}, serve_as, listener,
                                           number);
        const int code = co_await worker.wait();
        fmt::print("{} ended with {}; another one takes its place\n", name, code);
        std::fflush(stdout);
        co_await rondo::sleep(20ms);  // a worker that crashes at once must not take all the time
    }
}

rondo::task<> supervise(rondo::tcp_listener& listener, int workers) {
    std::vector<rondo::task<>> all;
    for (int i = 0; i < workers; ++i) all.push_back(keep_running(listener, i));
    co_await rondo::gather(std::move(all));
}

int main(int argc, char** argv) {
    if (rondo::process_worker(argc, argv)) return 0;  // a worker runs serve_as here
    const auto port = static_cast<std::uint16_t>(argc > 1 ? std::atoi(argv[1]) : 7098);
    const int workers = argc > 2 ? std::atoi(argv[2]) : 4;
    auto listener = rondo::tcp_listener::bind({"127.0.0.1", port});
    rondo::run(supervise(listener, workers));
    fmt::print("all workers have ended\n");
}
