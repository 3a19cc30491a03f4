// SPDX-License-Identifier: MIT
// One fdatasync(2), or one syncfs(2) for all that wait.
#include "disk_sync.hpp"

#include <cerrno>

#include <unistd.h>
#include <rondo/to_thread.hpp>

namespace downloader {

rondo::task<> disk_sync::wait(part_file& file) {
    const std::uint64_t mine = ++asked_;
    const auto guard = co_await at_work_.lock();
    if (synced_ >= mine) co_return;
    const std::uint64_t last = asked_;
    if (last == synced_ + 1) {
        co_await file.sync();
    } else {
        auto call = rondo::to_thread([](int number) { return ::syncfs(number) == 0 ? 0 : errno; },
                                     in_->number());
        const int error = co_await call;
        if (error != 0) refuse_file(error, "write", file.name());
    }
    synced_ = last;
}

}  // namespace downloader
