// SPDX-License-Identifier: MIT
// One download, from its URL to its file.
#pragma once

#include <chrono>
#include <cstddef>
#include <exception>
#include <string>
#include <utility>

#include <rondo/http/session.hpp>
#include <rondo/task.hpp>

#include "progress.hpp"

namespace downloader {

/// A URL to download, and the name of its file.
class job {
public:
    job(std::string url, std::string file) : where(std::move(url)), name(std::move(file)) {}

    std::string where;
    std::string name;
};

/// State that all downloads of a run share. Must outlive them.
class downloads {
public:
    downloads(std::size_t jobs_max, std::string output_folder, bool replace_files,
              progress& display);

    /// Since the first one began.
    std::chrono::nanoseconds now() const { return std::chrono::steady_clock::now() - began; }

    rondo::http::session web;
    std::string folder;
    bool replace;
    progress& show;
    std::chrono::steady_clock::time_point began = std::chrono::steady_clock::now();
};

/// Downloads one file and reports it to the display. Errors are reported there too, and do not
/// affect other downloads.
/// Throws: nothing.
/// Cancel: removes the unfinished file.
rondo::task<> fetch(downloads& all, const job& what);

/// The text of an error, without the request: "404 Not Found". Safe for a terminal.
std::string reason_of(const std::exception& error);

}  // namespace downloader
