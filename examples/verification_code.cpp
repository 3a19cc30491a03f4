// SPDX-License-Identifier: MIT
// Shows race with an interval and a read of standard input, on one thread: a code that changes
// every few seconds while the user types. The reading task ends first, by the right code or the end
// of the input; then race cancels the renewal.
// Run: verification_code [SECONDS]
//
//     the code is 4711; type it:
//     0815
//     wrong
//     the code is 9130; type it:
//     9130
//     welcome
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <utility>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

using namespace std::chrono_literals;

void say(const std::string& text) {
    fmt::print("{}\n", text);
    std::fflush(stdout);  // at once, also if stdout is a pipe
}

rondo::task<> renew(std::string& code, rondo::duration period) {
    std::mt19937 random(std::random_device{}());
    std::uniform_int_distribution<int> digits(0, 9999);
    for (rondo::interval every(period);; co_await every.tick()) {
        code = fmt::format("{:04}", digits(random));
        say("the code is " + code + "; type it:");
    }
}

// Yields the lines of a file as they come. While a terminal or pipe has none, only this task waits.
rondo::async_generator<std::string> lines_of(rondo::file input) {
    std::array<char, 256> buffer;
    std::string text;
    while (auto chunk = co_await input.read_some(buffer)) {
        text.append(chunk.data(), chunk.size());
        for (auto end = text.find('\n'); end != text.npos; end = text.find('\n')) {
            std::string line = text.substr(0, end);
            text.erase(0, end + 1);
            co_yield line;
        }
    }
}

rondo::task<bool> check(const std::string& code) {
    auto typed = lines_of(co_await rondo::file::open("/dev/stdin"));
    while (auto line = co_await typed.next()) {
        if (*line == code) co_return true;
        say("wrong");
    }
    co_return false;
}

rondo::task<> log_in(rondo::duration period) {
    std::string code;
    const auto end = co_await rondo::race(renew(code, period), check(code));
    say(std::get<1>(end) ? "welcome" : "nobody is there any more");
}

int main(int count, char** words) {
    rondo::run(log_in(std::chrono::seconds(count > 1 ? std::atoi(words[1]) : 5)));
}
