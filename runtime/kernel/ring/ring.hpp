// SPDX-License-Identifier: MIT
// The io_uring kernel: making one, its facts, and the limits that tests impose on it.
//
// Features are found by asking the kernel (the errno of set-up, the feature word, the opcode
// probe), never by a version number: distributions backport features, and seccomp filters remove
// them. To test the answers of older kernels on a newer one, `limit_ring` hides flags, features and
// opcodes from every ring made afterwards. A hidden flag makes set-up fail with EINVAL; entries
// with a hidden opcode complete with -EINVAL. Opcodes can also be refused by the kernel itself, as
// a policy does it (canary.hpp). <liburing.h> is included in setup.cpp only.
#pragma once

#include <bitset>
#include <cstdint>
#include <memory>
#include <string>

#include <rondo/probe.hpp>

#include "kernel/kernel.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

/// Size of a ring. While the kernel answers ENOMEM both are halved, down to 32 and 64: rings count
/// against RLIMIT_MEMLOCK.
struct ring_options {
    std::uint32_t entries = 256;       // submission queue; a longer batch is submitted in pieces
    std::uint32_t completions = 4096;  // completion queue; further ones wait in kernel memory
};

/// Properties of a ring that was set up.
struct ring_facts {
    std::uint32_t setup_flags = 0;  // IORING_SETUP_* in use
    std::uint32_t features = 0;     // IORING_FEAT_*
    std::uint32_t entries = 0;
    std::uint32_t completions = 0;
    bool multishot_accept = false;
    bool multishot_receive = false;
    std::bitset<256> opcodes;
};

/// Features to hide from rings made from now on. The default hides nothing.
struct ring_limits {
    std::uint32_t setup_flags = 0;
    std::uint32_t features = 0;
    bool multishot_accept = false;
    bool multishot_receive = false;  // with provided buffers
    std::bitset<256> opcodes;
    /// The kernel itself refuses these, by IORING_REGISTER_RESTRICTIONS: -EACCES. A ring that
    /// cannot be made disabled stays unrestricted.
    std::bitset<256> refused;
    /// With `refused`: it also refuses the calls of io_uring_register that rondo can do without.
    bool refused_calls = false;

    static ring_limits linux_6_1() noexcept;   // Debian 12's kernel, the oldest supported one
    static ring_limits linux_5_19() noexcept;  // best effort: no SINGLE_ISSUER, no DEFER_TASKRUN
};

/// Test hook: sets the limits of the whole process.
void limit_ring(const ring_limits& limits) noexcept;

/// Makes a ring. Throws: uring_unavailable.
std::shared_ptr<kernel> make_ring(const ring_options& options = {});

/// Checks, once in a process, what the system lets a ring do (canary.hpp). It takes a small ring of
/// its own, since a check binds the ring to its thread. Throws: uring_unavailable.
void check_rings();

/// Sets a ring up, checks it, reads its facts and closes it. Throws: uring_unavailable.
ring_facts examine_ring(const ring_options& options = {});

/// Returns: the exception for `error` (a positive errno) of io_uring_setup, with cause and remedy
/// (probe.cpp).
uring_unavailable why_unavailable(int error);

/// Returns: the exception for EPERM. `sysctl` is kernel.io_uring_disabled or -1; `filtered` is
/// whether the process has a seccomp filter (probe.cpp).
uring_unavailable why_forbidden(int sysctl, bool filtered);

/// Returns: the exception for a ring that refuses the opcodes with these names (probe.cpp).
uring_unavailable opcodes_refused(const std::string& names);

/// Returns: the exception for a kernel that has io_uring but lacks `feature`, which came with Linux
/// `since` (probe.cpp).
uring_unavailable feature_missing(const char* feature, const char* since);

}  // namespace detail
}  // namespace v0
}  // namespace rondo
