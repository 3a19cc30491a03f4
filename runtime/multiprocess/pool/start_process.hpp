// SPDX-License-Identifier: MIT
// The part of start_process that runs in the new process.
#pragma once

#include <rondo/config.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

/// Reads the call from the inherited descriptor and makes it.
/// Returns: the exit code.
int run_started(int number) noexcept;

}  // namespace detail
}  // namespace v0
}  // namespace rondo
