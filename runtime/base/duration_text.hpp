// SPDX-License-Identifier: MIT
// How a span of time is written.
#pragma once

#include <string>

#include <rondo/config.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

/// "2s", "1.5s", "250ms": the largest unit that leaves something before the point, at most three
/// digits after it (error.cpp).
std::string text_of(duration span);

}  // namespace detail
}  // namespace v0
}  // namespace rondo
