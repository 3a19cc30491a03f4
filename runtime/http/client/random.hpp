// SPDX-License-Identifier: MIT
// Random bits: boundaries of forms, names of temporary files.
#pragma once

#include <cstdint>
#include <string>

#include <rondo/config.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

/// 64 bits of the system's generator.
std::uint64_t random_word();
/// The same as sixteen hexadecimal digits.
std::string random_text();

}  // namespace detail
}  // namespace v0
}  // namespace rondo
