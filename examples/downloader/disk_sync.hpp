// SPDX-License-Identifier: MIT
// Brings files to the disk before they get their names, so that after a power cut no name has half
// a file. A small file alone takes a disk milliseconds, a hundred at once hardly more: files that
// wait while the disk is at work share the next call.
#pragma once

#include <cstdint>

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

private:
    const folder* in_;
    rondo::mutex at_work_;
    std::uint64_t asked_ = 0;
    std::uint64_t synced_ = 0;  // all calls up to this one are served
};

}  // namespace downloader
