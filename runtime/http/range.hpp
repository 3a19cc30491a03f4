// SPDX-License-Identifier: MIT
// Ranges of bytes and conditions of requests (RFC 9110, sections 13 and 14).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <rondo/http/range.hpp>

namespace rondo {
inline namespace v0 {
namespace http {

/// More ranges than these in one request are an attack.
inline constexpr std::size_t ranges_max = 16;

/// The ranges that "bytes=0-99, -5" asks for, in a file of `size` bytes. Those that lie behind its
/// end are left out.
/// Returns: nothing if the value is malformed, of another unit, or has too many ranges: send the
///          whole file. An empty list: none can be had (416).
std::optional<std::vector<byte_range>> parse_range(std::string_view value, std::uint64_t size);

/// "bytes 0-99/1000".
std::string content_range(const byte_range& part, std::uint64_t size);
/// "bytes */1000", of a 416.
std::string unsatisfied_range(std::uint64_t size);

/// True if the list of if-none-match has `tag`, or "*"; "W/" is ignored.
bool has_weak_tag(std::string_view list, std::string_view tag);
/// True if the list of if-match or the value of if-range has `tag`, or the list is "*"; never for
/// a weak tag.
bool has_strong_tag(std::string_view list, std::string_view tag);

}  // namespace http
}  // namespace v0
}  // namespace rondo
