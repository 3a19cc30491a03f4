// SPDX-License-Identifier: MIT
// Where the results go: a file that grows, or standard output.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>

#include <rondo/sync.hpp>
#include <rondo/task.hpp>

namespace crawler {

/// Results cannot be written.
class output_error : public std::system_error {
public:
    using std::system_error::system_error;
};

/// A file of lines. Lines of several tasks never mix.
/// Thread: its loop's.
class output {
public:
    /// Opens `path` to append to it; empty: standard output. If a process was killed while it wrote
    /// the last line of the file, that line is ended first.
    /// Throws: std::system_error.
    explicit output(const std::string& path);
    output(const output&) = delete;
    output& operator=(const output&) = delete;
    ~output();

    /// Writes a line. The write happens on another thread, since a reader may be slow. Lines that
    /// come meanwhile are written together.
    /// Throws: output_error; each later call throws it again.
    /// Cancel: the line is written nevertheless.
    rondo::task<> write(std::string_view line);

private:
    rondo::task<> write_pending();

    int to_;
    bool is_ours_;
    std::string name_;
    rondo::mutex one_at_a_time_;
    std::string pending_;
    std::uint64_t lines_ = 0;    // that have come
    std::uint64_t written_ = 0;  // of these
    int error_ = 0;
};

}  // namespace crawler
