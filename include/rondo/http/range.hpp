// SPDX-License-Identifier: MIT
// The range of a response of status 206, as a client gets it (RFC 9110, section 14.4).
//
//     auto response = co_await http.get(url).range(1000);
//     const auto part = rondo::http::parse_content_range(
//         response.header("content-range").value_or(""));
//     if (response.status() == 206 && part && part->part.first == 1000) …
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include <rondo/config.hpp>

namespace rondo {
inline namespace v0 {
namespace http {

/// Bytes `first` to `last` of a file, both included.
struct byte_range {
    std::uint64_t first = 0;
    std::uint64_t last = 0;
    std::uint64_t size() const noexcept { return last - first + 1; }
    bool operator==(const byte_range&) const = default;
};

/// The range of a 206, "bytes 0-99/1000", or without the size "bytes 0-99/*".
struct received_range {
    byte_range part;
    std::optional<std::uint64_t> size;  ///< of the whole file
};
/// Reads the value of content-range.
/// Returns: nothing if the value is malformed, or the part not in the size.
RONDO_API std::optional<received_range> parse_content_range(std::string_view value);

}  // namespace http
}  // namespace v0
}  // namespace rondo
