// SPDX-License-Identifier: MIT
// Which kernel a loop gets: the ring, or readiness where io_uring is denied.
#pragma once

#include <memory>

#include <rondo/kernel_choice.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

class kernel;

/// Of a loop's options.
struct kernel_request {
    kernel_choice choice = kernel_choice::automatic;
    unsigned entries = 256;
    unsigned completions = 4096;
    bool quiet = false;  // do not tell of a fallback
};

/// Makes the kernel of a loop.
/// Throws: uring_unavailable; std::invalid_argument if RONDO_KERNEL is not understood;
///         std::system_error.
std::shared_ptr<kernel> make_kernel(const kernel_request& request);

/// Returns: RONDO_KERNEL of the environment; `automatic` if it is not set.
/// Throws: std::invalid_argument if it is not understood.
kernel_choice choice_of_environment();

/// Whether readiness takes over if the set-up of a ring fails with this errno.
bool falls_back_on(int error) noexcept;

}  // namespace detail
}  // namespace v0
}  // namespace rondo
