// SPDX-License-Identifier: MIT
// Who hears of an error that nobody has seen: the loop of a task, the hook of the threads.
#pragma once

#include <exception>
#include <string>

#include <rondo/task.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

/// Tells the exception handler of the task's loop about an error that nobody has seen (leave.cpp).
void report_unseen(task_record& record, std::exception_ptr error) noexcept;

/// Tells the thread exception hook, for what belongs to no loop (thread_future.cpp).
void report_thread_error(const char* message, std::exception_ptr error) noexcept;

/// "; in parse (proxy.cpp:31) < handle (proxy.cpp:58)": the awaits that the error came through.
/// Empty unless it is the latest on this thread that came through any (task.cpp).
std::string path_of(const std::exception_ptr& error);

/// Is it the exception `cancelled`?
bool is_cancellation(const std::exception_ptr& error) noexcept;

}  // namespace detail
}  // namespace v0
}  // namespace rondo
