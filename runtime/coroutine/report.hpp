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

/// "task "NAME"" or "the task created at FILE:LINE", of one that has not ended (describe.cpp).
std::string title_of(const task_record& record);

/// Tells the thread exception hook, for what belongs to no loop (thread_future.cpp).
void report_thread_error(const char* message, std::exception_ptr error) noexcept;

/// The error of a frame that came to the end of its function without co_return, though it is to
/// give a value.
std::exception_ptr without_value(promise_base& frame) noexcept;

/// "; in parse (proxy.cpp:31) < handle (proxy.cpp:58)": the awaits that the error came through.
/// Empty unless it is the latest on this thread that came through any (task.cpp).
std::string path_of(const std::exception_ptr& error);

/// Is it the exception `cancelled`?
bool is_cancellation(const std::exception_ptr& error) noexcept;

}  // namespace detail
}  // namespace v0
}  // namespace rondo
