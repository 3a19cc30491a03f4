// SPDX-License-Identifier: MIT
// The kernel's numbers for the parts of io_uring that rondo uses, in addition to those of entries
// (entry.hpp). So <liburing.h> stays in setup.cpp: it includes many kernel headers and lacks the
// newer ones of these. setup.cpp asserts that the numbers agree.
// See: io_uring_setup(2), io_uring_enter(2).
#pragma once

#include <cstdint>

namespace rondo {
inline namespace v0 {
namespace detail {

/// IORING_SETUP_*.
enum setup_flags : std::uint32_t {
    setup_cqsize = 1u << 3,
    setup_clamp = 1u << 4,
    setup_disabled = 1u << 6,        // 5.10
    setup_submit_all = 1u << 7,      // 5.18
    setup_coop_taskrun = 1u << 8,    // 5.19
    setup_taskrun_flag = 1u << 9,    // 5.19
    setup_single_issuer = 1u << 12,  // 6.0
    setup_defer_taskrun = 1u << 13,  // 6.1
};

/// IORING_FEAT_*.
enum ring_features : std::uint32_t {
    feature_nodrop = 1u << 1,         // 5.5
    feature_submit_stable = 1u << 2,  // 5.5
    feature_fast_poll = 1u << 5,      // 5.7
    feature_ext_arg = 1u << 8,        // 5.11
    feature_cqe_skip = 1u << 11,      // 5.17
    feature_linked_file = 1u << 12,   // 5.17, the last of 6.1
    feature_no_iowait = 1u << 17,     // 6.15
};

/// IORING_ENTER_*.
enum enter_flags : unsigned {
    enter_getevents = 1u << 0,
    enter_ext_arg = 1u << 3,
    enter_registered_ring = 1u << 4,  // 5.18
    enter_no_iowait = 1u << 7,        // 6.15
};

/// IORING_SQ_*: flags that the kernel sets in the submission queue's flags word.
enum queue_flags : std::uint32_t {
    queue_overflow = 1u << 1,
    queue_taskrun = 1u << 2,
};

/// IORING_OP_* that only ring_limits uses.
inline constexpr unsigned opcode_send_zc = 47;     // 6.0
inline constexpr unsigned opcode_sendmsg_zc = 48;  // 6.1, its last

}  // namespace detail
}  // namespace v0
}  // namespace rondo
