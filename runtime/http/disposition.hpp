// SPDX-License-Identifier: MIT
// File names that a server suggests (content-disposition: RFC 6266, RFC 8187). The server may be
// hostile, so a name becomes an ordinary one in the folder of the caller's choice, or none.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include <rondo/http/disposition.hpp>

namespace rondo {
inline namespace v0 {
namespace http {

/// Bytes of the longest name; it leaves room for ".part" below NAME_MAX, 255.
inline constexpr std::size_t file_name_bytes_max = 200;

/// `name` as the name of a file: its part behind the last '/' or '\', in UTF-8, with '_' for
/// control characters, direction overrides and what other systems do not allow (`<>:"|?*`). A '.'
/// or '-' at the beginning becomes '_': it would hide the file, or be an option of the next
/// command. A name that is too long loses bytes before its extension.
/// Returns: nothing if nothing is left.
std::optional<std::string> safe_file_name(std::string_view name);

}  // namespace http
}  // namespace v0
}  // namespace rondo
