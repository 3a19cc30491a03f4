// SPDX-License-Identifier: MIT
// errgroup with SetLimit: fetch many, at most two at a time; the first error ends the rest.
// Runs on: ring and simulator
//
//     most at a time: 2
//     pages: 6
//     failed: 404 page-3
#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <string>
#include <vector>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

using namespace std::chrono_literals;

int running = 0;
int most = 0;

rondo::task<std::string> fetch(std::string url) {
    most = std::max(most, ++running);
    co_await rondo::sleep(5ms);
    --running;
    co_return "<html>" + url;
}

rondo::task<std::string> broken_fetch(std::string url) {
    co_await rondo::sleep(5ms);
    if (url == "page-3") throw std::runtime_error("404 " + url);
    co_return url;
}

rondo::task<> program() {
    std::vector<std::string> urls;
    for (int i = 1; i <= 6; i++) urls.push_back(fmt::format("page-{}", i));

    auto pages = co_await rondo::map_concurrent(2, urls, fetch);
    fmt::print("most at a time: {}\npages: {}\n", most, pages.size());
    try {
        co_await rondo::map_concurrent(2, urls, broken_fetch);
    } catch (const std::exception& error) {
        fmt::print("failed: {}\n", error.what());
    }
}

int main() { rondo::run(program()); }
