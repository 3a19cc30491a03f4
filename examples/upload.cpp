// SPDX-License-Identifier: MIT
// Uploads files as a form of a browser does (multipart/form-data). They are read while they are
// sent, so their size does not matter, and a trace shows how long each request took.
// Run: upload URL FILE...
#include <exception>
#include <string>
#include <vector>

#include <fmt/core.h>
#include <rondo/http.hpp>
#include <rondo/rondo.hpp>

namespace http = rondo::http;

void show(const http::trace_event& event) {
    if (event.point == http::trace_point::sent) fmt::print("sent {} bytes\n", event.bytes);
    if (event.point == http::trace_point::error) fmt::print("failed: {}\n", event.text);
}

rondo::task<> upload(std::string url, std::vector<std::string> files) {
    http::session http;
    http.trace(show);
    auto form = http.post(url).part("count", std::to_string(files.size()));
    for (const std::string& path : files) form.part_file("file", path);
    auto response = co_await form;
    response.raise_for_status();
    const std::string answer = co_await response.text();
    fmt::print("{}", answer);
}

int main(int argc, char** argv) {
    if (argc < 3) {
        fmt::print(stderr, "usage: {} URL FILE...\n", argv[0]);
        return 2;
    }
    try {
        rondo::run(upload(argv[1], {argv + 2, argv + argc}));
    } catch (const std::exception& error) {
        fmt::print(stderr, "{}\n", error.what());
        return 1;
    }
}
