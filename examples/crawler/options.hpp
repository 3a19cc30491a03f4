// SPDX-License-Identifier: MIT
// The command line.
#pragma once

#include <cstddef>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <rondo/config.hpp>
#include <rondo/http/url.hpp>

namespace crawler {

/// A wrong command line.
class usage_error : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// The wishes of a command line.
struct options {
    std::vector<rondo::http::url> urls;  // normalized
    std::vector<std::string> hosts;      // further ones
    unsigned depth = 1'000'000;
    std::size_t pages_max = 10'000;  // 0: no limit
    std::size_t bytes_max = std::size_t{2} << 20;
    std::size_t memory_max = 100'000;  // pages that wait in memory
    std::size_t jobs = 16;
    std::size_t per_host = 2;
    rondo::duration delay = std::chrono::milliseconds(100);
    rondo::duration timeout = std::chrono::seconds(30);
    int retries = 2;
    std::string user_agent = "rondo-crawler/0.1";
    bool robots = true;
    bool sitemap = false;
    bool parts = false;
    bool list_links = false;
    bool quiet = false;
    bool help = false;
    std::string ca_file;
    std::string output;  // empty: standard output
    std::string queue;   // empty: in this process
    rondo::duration lease = std::chrono::seconds(60);
};

/// Throws: usage_error.
options parse_options(int argc, char** argv);

std::string_view help_text();

}  // namespace crawler
