// SPDX-License-Identifier: MIT
// Starting programs on the real system.
#pragma once

#include <rondo/detail/kernel/spawn.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

/// What `system::spawn` gives, on the real one.
int spawn_program(const spawn_request& what, started_program& started) noexcept;
/// What `system::reap_program` gives.
int reap_by(int pid_descriptor, int* code) noexcept;
/// What `system::signal_program` gives.
int signal_by(int pid_descriptor, int number) noexcept;

}  // namespace detail
}  // namespace v0
}  // namespace rondo
