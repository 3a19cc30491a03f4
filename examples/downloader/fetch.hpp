// SPDX-License-Identifier: MIT
// One download, from its URL to its file.
#pragma once

#include <chrono>
#include <string>
#include <utility>

#include <rondo/task.hpp>

#include "client.hpp"
#include "progress.hpp"
#include "url.hpp"

namespace downloader {

/// A URL to download, and the name of its file.
class job {
public:
    job(url from, std::string file) : where(std::move(from)), name(std::move(file)) {}

    url where;
    std::string name;
};

/// State that all downloads of a run share. Must outlive them.
class downloads {
public:
    downloads(std::size_t jobs_max, std::string output_folder, bool replace_files,
              progress& display)
        : web(jobs_max), folder(std::move(output_folder)), replace(replace_files), show(display) {}

    /// Since the first one began.
    std::chrono::nanoseconds now() const { return std::chrono::steady_clock::now() - began; }

    client web;
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

}  // namespace downloader
