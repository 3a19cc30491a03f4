// SPDX-License-Identifier: MIT
// All files of a run.
#pragma once

#include <string>
#include <vector>

#include <rondo/task.hpp>

#include "downloads.hpp"
#include "list.hpp"

namespace downloader {

/// A file of the run, and what the display calls it.
class job {
public:
    explicit job(wanted_file wanted) : what(std::move(wanted)) {}

    wanted_file what;
    std::string name;     ///< claimed; empty if the server is to be asked for it
    std::string shown;    ///< its URL, without password
    std::string problem;  ///< why it cannot be downloaded
};

/// Checks the URLs and hands out names. A wrong URL becomes a job with a problem.
std::vector<job> make_jobs(downloads& all, std::vector<wanted_file> files);

/// Downloads all, options::jobs at a time, and reports each to the display, and with --json to the
/// standard output. Errors of a file are reported there too, and do not affect other files.
/// Cancel: saves what is unfinished.
rondo::task<> fetch_all(downloads& all, std::vector<job> jobs);

}  // namespace downloader
