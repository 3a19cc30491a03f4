// SPDX-License-Identifier: MIT
// A queue of pages in a temporary file, which has no name and goes with the process.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <rondo/file.hpp>
#include <rondo/sync.hpp>
#include <rondo/task.hpp>

#include "frontier.hpp"

namespace crawler {

/// First in, first out. It reads and writes 64 KiB at a time.
/// Thread: its loop's.
class overflow {
public:
    /// Adds a page at the end.
    /// Throws: std::system_error.
    /// Cancel: the page is added.
    rondo::task<> put(target page);

    /// Takes the pages at the beginning: up to 64 KiB of them, at least one if there is any.
    /// Throws: std::system_error.
    /// Cancel: takes none.
    rondo::task<std::vector<target>> take();

    std::size_t size() const noexcept { return pages_; }
    bool empty() const noexcept { return pages_ == 0; }

private:
    rondo::task<> write_end();
    rondo::task<> read_beginning();

    rondo::mutex one_at_a_time_;
    rondo::file file_;
    std::uint64_t read_at_ = 0;
    std::uint64_t write_at_ = 0;
    std::string beginning_;  // lines before read_at_, not taken yet
    std::string end_;        // lines that go to write_at_
    std::size_t pages_ = 0;
};

}  // namespace crawler
