// SPDX-License-Identifier: MIT
// Brings files to the disk before they get their names, so that after a power cut no name has half
// a file. A small file alone takes a disk milliseconds, a hundred at once hardly more: files that
// wait while the disk is at work, and for three times as long afterwards, share the next call. So
// most of the time the disk is free for those that are being written.
#pragma once

#include <chrono>
#include <cstdint>

#include <rondo/sync/event.hpp>
#include <rondo/sync/mutex.hpp>
#include <rondo/task.hpp>

#include "folder.hpp"
#include "part_file.hpp"

namespace downloader {

class disk_sync {
public:
    explicit disk_sync(const folder& in) : in_(&in) {}

    /// Waits until all that was written to `file` so far is on the disk.
    /// Throws: refused.
    rondo::task<> wait(part_file& file);

    /// Ends all pauses: no more files will come that could share a call.
    void hurry();

private:
    const folder* in_;
    rondo::mutex at_work_;
    rondo::event is_urgent_;
    bool is_last_ = false;
    std::uint64_t asked_ = 0;
    std::uint64_t synced_ = 0;  // all calls up to this one are served
    std::chrono::steady_clock::time_point free_until_{};
};

}  // namespace downloader
