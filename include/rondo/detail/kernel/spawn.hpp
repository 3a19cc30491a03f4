// SPDX-License-Identifier: MIT
// Request and answer of starting a program; the kernel takes them from the io layer.
#pragma once

#include <cstddef>

#include <rondo/config.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

/// A program to be started; the strings stay the caller's.
struct spawn_request {
    const char* file = nullptr;  // searched for in PATH
    char* const* arguments = nullptr;
    char* const* environment = nullptr;
    const char* directory = nullptr;  // null: ours
    int streams[3] = {-1, -1, -1};    // what its 0, 1 and 2 are to be; -1: ours
    const int* kept = nullptr;        // further numbers that it has too, the same ones
    std::size_t kept_count = 0;
    bool new_session = false;
    bool new_group = false;
};

/// A program that has been started; or what of its request was at fault.
struct started_program {
    int pid = -1;
    int pid_descriptor = -1;
    bool bad_directory = false;
};

/// Kills a program by its pidfd, which no descriptor has adopted, reaps it and closes the pidfd.
RONDO_API void end_program(int pid_descriptor) noexcept;
/// For a program that no task and no loop waits for any more: it is reaped when the next one starts.
RONDO_API void leave_program(int pid_descriptor) noexcept;
/// Reaps the programs that were left and have ended.
RONDO_API void reap_programs_left() noexcept;

}  // namespace detail
}  // namespace v0
}  // namespace rondo
