// SPDX-License-Identifier: MIT
// Files: write one, copy it in pieces, count its words, remove both.
// Runs on: ring and simulator
//
//     copied 66 bytes
//     14 words in 2 lines
//     the copy is gone
#include <array>
#include <sstream>
#include <string>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

rondo::task<std::size_t> copy_file(std::string from, std::string to) {
    auto in = co_await rondo::file::open(from);
    auto out = co_await rondo::file::create(to);
    std::array<char, 16> buffer;
    std::size_t copied = 0;
    while (auto chunk = co_await in.read_some(buffer)) {
        co_await out.write_all(chunk);
        copied += chunk.size();
    }
    co_return copied;
}

rondo::task<> program() {
    std::string folder = "/tmp/rondo-natural-file-copy";
    co_await rondo::make_directories(folder);
    co_await rondo::write_file(folder + "/text",
                               "the quick brown fox jumps\nover the lazy dog and is heard no more.\n");
    fmt::print("copied {} bytes\n", co_await copy_file(folder + "/text", folder + "/copy"));

    std::istringstream text(co_await rondo::read_file(folder + "/copy"));
    int words = 0, lines = 0;
    for (std::string line; std::getline(text, line); ++lines) {
        std::istringstream in_line(line);
        for (std::string word; in_line >> word;) ++words;
    }
    fmt::print("{} words in {} lines\n", words, lines);
    co_await rondo::remove_tree(folder);
    try {
        co_await rondo::read_file(folder + "/copy");
    } catch (const std::system_error&) {
        fmt::print("the copy is gone\n");
    }
}

int main() { rondo::run(program()); }
