// SPDX-License-Identifier: MIT
// The command line, by getopt_long: it is in libc, users know how it behaves, and it costs no
// compile time.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace downloader {

/// The command line is wrong; main prints the text and returns 2.
class usage_error : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// The options of a run. A class with a constructor rather than an aggregate: g++ 12 destroys
/// aggregates with strings twice if they are made inside a co_await expression (docs/gcc12.md).
struct options {
    options() = default;

    unsigned jobs = 16;
    std::string folder = ".";
    std::vector<std::string> list_files;
    std::vector<std::string> urls;
    bool progress = true;
    bool quiet = false;
    bool force = false;
    bool help = false;
};

/// Reads the command line; with --help nothing else is checked.
/// Throws: usage_error.
/// Thread: getopt keeps its state in globals, so from one thread at a time.
options parse_options(int argc, char** argv);

std::string_view help_text();

}  // namespace downloader
