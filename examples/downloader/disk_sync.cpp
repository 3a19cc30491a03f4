// SPDX-License-Identifier: MIT
// One fdatasync(2), or one syncfs(2) for all that wait.
#include "disk_sync.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <utility>

#include <unistd.h>
#include <rondo/sleep.hpp>
#include <rondo/to_thread.hpp>

namespace downloader {

namespace {

constexpr std::chrono::milliseconds pause_min{10};
constexpr std::chrono::milliseconds pause_max{50};
constexpr std::uint64_t crowd = 128;  // so many wait no longer for others

}  // namespace

void disk_sync::hurry() {
    is_last_ = true;
    is_urgent_.set();
}

rondo::task<> disk_sync::wait(part_file& file) {
    const std::uint64_t mine = ++asked_;
    if (asked_ - synced_ >= crowd) is_urgent_.set();
    const auto guard = co_await at_work_.lock();
    if (synced_ >= mine) co_return;
    using clock = std::chrono::steady_clock;
    const auto pause = std::min<clock::duration>(free_until_ - clock::now(), pause_max);
    if (!is_last_ && pause > clock::duration::zero() && asked_ - synced_ < crowd) {
        is_urgent_.clear();
        auto urgent = is_urgent_.wait();
        co_await rondo::move_on_after(pause, std::move(urgent));
    }
    const std::uint64_t last = asked_;
    const auto began = clock::now();
    if (last == synced_ + 1) {
        co_await file.sync();
    } else {
        auto call = rondo::to_thread([](int number) { return ::syncfs(number) == 0 ? 0 : errno; },
                                     in_->number());
        const int error = co_await call;
        if (error != 0) refuse_file(error, "write", file.name());
    }
    synced_ = last;
    const auto now = clock::now();
    free_until_ = now + std::max<clock::duration>(3 * (now - began), pause_min);
}

}  // namespace downloader
