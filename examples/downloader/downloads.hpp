// SPDX-License-Identifier: MIT
// State that all downloads of a run share.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include <rondo/http/session.hpp>

#include "disk_sync.hpp"
#include "folder.hpp"
#include "list.hpp"
#include "names.hpp"
#include "options.hpp"
#include "progress.hpp"
#include "rate.hpp"

namespace downloader {

/// Must outlive its downloads.
class downloads {
public:
    /// Throws: std::system_error if a file of certificates cannot be read; url_error for the proxy;
    ///         tls_error.
    downloads(const options& what, const folder& in, progress& display);

    /// Since the first one began.
    std::chrono::nanoseconds now() const { return std::chrono::steady_clock::now() - began; }

    /// A request with everything that the user has asked for. `is_small`: few bytes are expected.
    rondo::http::request_builder request(std::string_view method, const rondo::http::url& url,
                                         bool is_small);

    /// A random number from 0 to 1.
    double chance() { return std::uniform_real_distribution<double>(0, 1)(random); }

    /// There are more files than connections to a host. Then HTTP/2 wins, since it has many
    /// requests on one connection: 1,000 small files over TLS, 20 ms away, take 2.2 s instead of
    /// 4.8 s. Few and large files come faster over several connections.
    bool has_many = false;

    /// Names in the folder. With many files it is looked through once, which costs less than to
    /// look for three names for each.
    found_names found;

    /// Requests for files that are at work, or wait for a connection.
    std::size_t asking = 0;

    const options& wanted;
    const folder& to;
    progress& show;
    rondo::http::session web;
    rate_limit limit;
    disk_sync disk;
    file_names names;
    int output_error = 0;  // errno of the standard output
    std::minstd_rand random{std::random_device{}()};
    std::chrono::steady_clock::time_point began = std::chrono::steady_clock::now();
};

}  // namespace downloader
