// SPDX-License-Identifier: MIT
// Shows `xargs -P`: runs a command once for each line of its input, several at a time. The output
// of each command is printed as a whole, so outputs are not mixed.
// Run: ls | xargs 4 wc -c
#include <cstdlib>
#include <string>
#include <vector>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

rondo::task<std::vector<std::string>> read_lines() {
    std::vector<std::string> lines;
    auto in = rondo::standard_input();
    while (auto line = co_await in.read_line()) lines.push_back(*line);
    co_return lines;
}

rondo::task<int> run_all(std::size_t limit, rondo::command what) {
    const std::vector<std::string> lines = co_await read_lines();
    int failed = 0;
    const auto run_one = [&](const std::string& line) -> rondo::task<> {
        rondo::command with_line = what;
        const auto result = co_await with_line.arg(line).in(rondo::devnull).run();
        fmt::print("{}", result.output);
        fmt::print(stderr, "{}", result.error_output);
        failed += result.ok() ? 0 : 1;
    };
    co_await rondo::map_concurrent(limit, lines, run_one);
    co_return failed == 0 ? 0 : 123;  // the exit status of xargs(1)
}

int main(int argc, char** argv) {
    const int limit = argc > 2 ? std::atoi(argv[1]) : 0;
    if (limit <= 0) {
        fmt::print(stderr, "usage: {} HOW-MANY-AT-ONCE COMMAND [ARGUMENT...]\n", argv[0]);
        return 2;
    }
    rondo::command what(argv[2]);
    for (int i = 3; i < argc; ++i) what.arg(argv[i]);
    try {
        return rondo::run(run_all(static_cast<std::size_t>(limit), what));
    } catch (const std::system_error& error) {
        fmt::print(stderr, "{}\n", error.what());
        return 127;
    }
}
