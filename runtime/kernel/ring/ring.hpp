// SPDX-License-Identifier: MIT
// The kernel that is io_uring: how to make one, what it found, and how tests make it forget what it
// found.
//
// What a ring may use is decided by asking the kernel (set-up's errno, the feature word, the opcode
// probe), never by a version number: distributions carry features backwards and seccomp filters
// take them away. So that the older answers can be tested on a newer kernel, `limit_ring` hides
// flags, features and opcodes from every ring made afterwards: a hidden flag makes our set-up fail
// with EINVAL as a kernel without it would, a hidden opcode's entries complete with -EINVAL.
// <liburing.h> stays in setup.cpp.
#pragma once

#include <bitset>
#include <cstdint>
#include <memory>

#include <rondo/probe.hpp>

#include "kernel/kernel.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

/// How large a ring to ask for. Both are halved, down to 32 and 64, while the kernel answers
/// ENOMEM: rings count against RLIMIT_MEMLOCK.
struct ring_options {
    std::uint32_t entries = 256;       // submission queue; a longer batch is submitted in pieces
    std::uint32_t completions = 4096;  // completion queue; what does not fit waits in kernel memory
};

/// What a set-up ring can do.
struct ring_facts {
    std::uint32_t setup_flags = 0;  // IORING_SETUP_* in use
    std::uint32_t features = 0;     // IORING_FEAT_*
    std::uint32_t entries = 0;
    std::uint32_t completions = 0;
    bool multishot_accept = false;
    bool multishot_receive = false;
    std::bitset<256> opcodes;
};

/// What to hide from rings made from now on. The default hides nothing.
struct ring_limits {
    std::uint32_t setup_flags = 0;
    std::uint32_t features = 0;
    bool multishot_accept = false;
    bool multishot_receive = false;  // and buffers to pick from
    std::bitset<256> opcodes;

    static ring_limits linux_6_1() noexcept;   // Debian 12's kernel, the floor
    static ring_limits linux_5_19() noexcept;  // best effort: no SINGLE_ISSUER, no DEFER_TASKRUN
};

/// Test hook, for the whole process.
void limit_ring(const ring_limits& limits) noexcept;

/// Throws uring_unavailable.
std::shared_ptr<kernel> make_ring(const ring_options& options = {});

/// Sets a ring up, looks at it and closes it. Throws uring_unavailable.
ring_facts examine_ring(const ring_options& options = {});

/// Why `io_uring_setup` answered `error` (a positive errno), and what to do about it (probe.cpp).
uring_unavailable why_unavailable(int error);

/// The same for EPERM: `sysctl` is kernel.io_uring_disabled or -1, `filtered` whether the process
/// has a seccomp filter.
uring_unavailable why_forbidden(int sysctl, bool filtered);

/// The kernel has io_uring, but without `feature`, which Linux `since` brought.
uring_unavailable feature_missing(const char* feature, const char* since);

}  // namespace detail
}  // namespace v0
}  // namespace rondo
