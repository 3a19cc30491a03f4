// SPDX-License-Identifier: MIT
// Which process, which thread: numbers that are cheap to compare and never used again. A process id
// costs a system call to read, a thread id is handed out anew once its thread has ended; what
// belongs to one process or one thread (a ring does to both) must be fooled by neither.
#pragma once

#include <atomic>
#include <cstdint>

namespace rondo {
inline namespace v0 {
namespace detail {

/// The process that made this object.
class birth_process {
public:
    birth_process();  // throws std::system_error
    /// Whether this is that process and no fork() of it.
    bool is_current() const noexcept { return word_->load(std::memory_order_relaxed) == number_; }

private:
    const std::atomic<std::uint32_t>* word_;  // one for all, which the kernel clears in every child
    std::uint32_t number_;
};

/// The calling thread's number, from 1.
std::uint64_t this_thread_number() noexcept;

}  // namespace detail
}  // namespace v0
}  // namespace rondo
