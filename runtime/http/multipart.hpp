// SPDX-License-Identifier: MIT
// The text around the parts of a multipart/form-data body (RFC 7578): the bodies of parts are
// streamed by the caller. A body is, for each part, part_head(), its bytes and "\r\n"; at the end
// closing_boundary().
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace rondo {
inline namespace v0 {
namespace http {

/// A boundary of 128 random bits, which no part contains by chance.
std::string make_boundary(std::uint64_t random_high, std::uint64_t random_low);

/// "multipart/form-data; boundary=…".
std::string multipart_content_type(std::string_view boundary);

/// The boundary line and the fields of a part, with the empty line. In `name` and `file_name`,
/// quotes and line ends are escaped as browsers do (%22, %0D, %0A). An empty file name makes a
/// plain field, an empty content type no field content-type.
/// Throws: http::error if a name or `content_type` has another control character.
std::string part_head(std::string_view boundary, std::string_view name, std::string_view file_name,
                      std::string_view content_type);

/// The line after the last part.
std::string closing_boundary(std::string_view boundary);

}  // namespace http
}  // namespace v0
}  // namespace rondo
