// SPDX-License-Identifier: MIT
// Starting a program: the request and its result. The io layer passes them to the kernel.
#pragma once

#include <cstddef>

#include <rondo/config.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

/// A program to start. The caller owns the strings and arrays.
struct spawn_request {
    const char* file = nullptr;  // searched for in PATH
    char* const* arguments = nullptr;
    char* const* environment = nullptr;
    const char* directory = nullptr;  // null: that of this process
    int streams[3] = {-1, -1, -1};    // its descriptors 0, 1 and 2; -1: those of this process
    const int* kept = nullptr;        // further descriptors that it inherits, with their numbers
    std::size_t kept_count = 0;
    bool new_session = false;
    bool new_group = false;
    bool die_with_parent = false;  // SIGKILL when the thread that starts it ends
};

/// A started program. If starting failed, `bad_directory` says whether the directory was the
/// reason.
struct started_program {
    int pid = -1;
    int pid_descriptor = -1;
    bool bad_directory = false;
};

/// Kills a program, waits until it has ended, reaps it and closes its pidfd. No `descriptor` object
/// may own the pidfd.
RONDO_API void end_program(int pid_descriptor) noexcept;
/// Abandons a program that no task and no loop waits for any more: it is reaped when the next
/// program starts. Duplicates the pidfd.
RONDO_API void abandon_program(int pid_descriptor) noexcept;
/// Reaps the abandoned programs that have ended.
RONDO_API void reap_abandoned_programs() noexcept;

}  // namespace detail
}  // namespace v0
}  // namespace rondo
