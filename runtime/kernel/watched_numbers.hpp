// SPDX-License-Identifier: MIT
// The numbers of descriptors, as the readiness kernels of this process use them.
//
// An epoll set knows an open file by its number. A number that is closed and used again is not in
// the set, though the kernel that watched it may believe so: its waiters would never wake. And a
// file that is closed here and open elsewhere (a duplicate, a forked child) stays in the set, and
// wakes it for nothing. So each close of rondo's, by any system object and on any thread, passes by
// here first: it takes the number out of its set, and counts. A registration that was made before
// the last count is stale.
//
// A number is in at most one set for good. Polls on numbers that rondo does not own are not noted
// here; see kernel/readiness/watch.cpp.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>

#include <rondo/config.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

class watched_numbers {
public:
    /// Returns: those of this process, made by the first call. A forked child gets new ones.
    /// Throws: std::bad_alloc.
    static watched_numbers& of_process();
    /// To be called before each close of `fd`. Does nothing if the process has no such kernel.
    /// Thread: any.
    static void closing(int fd) noexcept;

    watched_numbers() noexcept = default;
    watched_numbers(const watched_numbers&) = delete;
    watched_numbers& operator=(const watched_numbers&) = delete;

    /// Stores how often rondo has closed `fd`. Returns: 0, or -ENOMEM; -EMFILE for a number above
    /// 16 million.
    int closes(int fd, std::uint32_t& count) noexcept;

    // On numbers for which `closes` has succeeded.
    /// Adds `fd` to an epoll set, and removes it from the one that it is in. Returns: 0 or -errno.
    int watch(int epoll, int fd, std::uint32_t events, std::uint64_t word) noexcept;
    /// Removes it from the set, if it is in this one.
    void unwatch(int epoll, int fd) noexcept;
    /// Whether it is in this set.
    bool is_in(int epoll, int fd) noexcept;
    /// Keeps a second description of the same file, which is watched and closed with `fd`. Closes
    /// the one that another kernel has set.
    void set_twin(int fd, int twin) noexcept;
    /// Returns: the number of that description, or -1.
    int twin_of(int fd) noexcept;

private:
    struct number {
        std::atomic<std::uint32_t> closes{0};
        std::atomic<int> epoll{-1};  // changes under the lock
        std::atomic<int> twin{-1};
    };
    static constexpr std::size_t page_size = 4096, pages_max = 4096;
    using page = std::array<number, page_size>;

    number* find(int fd) noexcept;
    static void remove(number& of, int fd) noexcept;
    std::mutex& lock_of(int fd) noexcept { return locks_[static_cast<unsigned>(fd) % 64]; }

    std::array<std::atomic<page*>, pages_max> pages_{};
    std::array<std::mutex, 64> locks_;
    std::mutex growing_;
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
