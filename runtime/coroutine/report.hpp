// SPDX-License-Identifier: MIT
// Reports of errors that were never retrieved: to the loop of a task, to the hook of threads. Each
// function is implemented in the file that its comment names.
#pragma once

#include <exception>
#include <string>

#include <rondo/task.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

/// Reports an error that was never retrieved to the exception handler of the task's loop
/// (leave.cpp).
void report_unseen(task_record& record, std::exception_ptr error) noexcept;

/// Returns: `task "NAME"` or `the task created at FILE:LINE`. The task has not ended
/// (describe.cpp).
std::string title_of(const task_record& record);

/// Reports an error that belongs to no loop to the thread exception hook (thread_future.cpp).
void report_thread_error(const char* message, std::exception_ptr error) noexcept;

/// Returns: the error of a coroutine with a result that reached the end of its body without
/// co_return (task.cpp).
std::exception_ptr without_value(promise_base& frame) noexcept;

/// Returns: the awaits that the error passed through, as in
/// "; in parse (proxy.cpp:31) < handle (proxy.cpp:58)". Empty unless it is the latest error on this
/// thread that passed through an await (task.cpp).
std::string path_of(const std::exception_ptr& error);

/// Whether it is the exception `cancelled` (task.cpp).
bool is_cancellation(const std::exception_ptr& error) noexcept;

}  // namespace detail
}  // namespace v0
}  // namespace rondo
