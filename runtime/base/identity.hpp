// SPDX-License-Identifier: MIT
// Numbers that identify a process or a thread: cheap to compare and never reused. Reading a process
// id costs a system call, and a thread id is reused when its thread has ended. A ring belongs to
// one process and one thread, and must recognise both.
#pragma once

#include <atomic>
#include <cstdint>

namespace rondo {
inline namespace v0 {
namespace detail {

/// Remembers the process that constructed it.
class birth_process {
public:
    birth_process();  // throws std::system_error
    /// Whether the calling process is that process, not a fork() of it.
    bool is_current() const noexcept { return word_->load(std::memory_order_relaxed) == number_; }
    /// From 1 on; another one in every fork().
    std::uint32_t number() const noexcept { return number_; }

private:
    const std::atomic<std::uint32_t>* word_;  // shared by all; the kernel clears it in every child
    std::uint32_t number_;
};

/// Returns: the calling thread's number, from 1 on.
std::uint64_t this_thread_number() noexcept;

}  // namespace detail
}  // namespace v0
}  // namespace rondo
