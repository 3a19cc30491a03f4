// SPDX-License-Identifier: MIT
// asyncio's page on subprocesses: run a command, talk to one, end one.
// Runs on: ring
//
//     exit 0: hello
//     exit 3: oops
//     sort: apple fig pear
//     SIGTERM
#include <csignal>
#include <string>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

rondo::task<> program() {
    auto hello = co_await rondo::command("echo", "hello").run();
    fmt::print("exit {}: {}", hello.exit_code, hello.output);

    auto oops = co_await rondo::command("sh", "-c", "echo oops >&2; exit 3").run();
    fmt::print("exit {}: {}", oops.exit_code, oops.error_output);

    auto sort = rondo::command("sort").in(rondo::pipe).out(rondo::pipe).spawn();
    co_await sort.in().write_all("pear\nfig\napple\n");
    sort.in().close();
    fmt::print("sort:");
    while (auto line = co_await sort.out().read_line()) fmt::print(" {}", *line);
    fmt::print("\n");
    co_await sort.wait();

    auto sleeper = rondo::command("sleep", "1000").spawn();
    sleeper.terminate();
    if (co_await sleeper.wait() == -SIGTERM) fmt::print("SIGTERM\n");
}

int main() { rondo::run(program()); }
