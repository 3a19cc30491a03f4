// SPDX-License-Identifier: MIT
// The part of the result of lstat(2) that rondo uses.
#pragma once

#include <cstdint>

#include <rondo/config.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

struct name_facts {
    unsigned mode = 0;
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
