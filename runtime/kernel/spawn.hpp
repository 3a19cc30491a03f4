// SPDX-License-Identifier: MIT
// Starting programs on the real system.
#pragma once

#include <rondo/detail/kernel/spawn.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

/// Implements `system::spawn` of the real system.
int spawn_program(const spawn_request& request, started_program& started) noexcept;
/// Implements `system::reap_program` of the real system.
int reap_by_pidfd(int pid_descriptor, int* code) noexcept;
/// Implements `system::signal_program` of the real system.
int signal_by_pidfd(int pid_descriptor, int number) noexcept;

}  // namespace detail
}  // namespace v0
}  // namespace rondo
