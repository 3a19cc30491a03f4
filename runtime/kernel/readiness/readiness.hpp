// SPDX-License-Identifier: MIT
// The kernel on readiness: epoll, plain system calls, and a few threads for files. For systems that
// deny io_uring.
#pragma once

#include <memory>

#include "kernel/kernel.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

/// Makes one. At most `entries` entries are collected before they are interpreted.
/// Throws: std::system_error, std::bad_alloc.
std::shared_ptr<kernel> make_readiness(unsigned entries);

}  // namespace detail
}  // namespace v0
}  // namespace rondo
