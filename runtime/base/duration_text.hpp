// SPDX-License-Identifier: MIT
// Durations as text.
#pragma once

#include <string>

#include <rondo/config.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

/// Returns: text like "2s", "1.5s", "250ms". The unit is the largest in which the value is at least
/// one; at most three decimals follow (error.cpp).
std::string text_of(duration span);

}  // namespace detail
}  // namespace v0
}  // namespace rondo
