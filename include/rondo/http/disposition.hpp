// SPDX-License-Identifier: MIT
// The file name that a server suggests (content-disposition: RFC 6266, RFC 8187).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <rondo/config.hpp>

namespace rondo {
inline namespace v0 {
namespace http {

/// The name in `attachment; filename="a.txt"`; `filename*=UTF-8''%e2%82%ac.txt` counts more. The
/// server may be hostile, so the name becomes an ordinary one: its part behind the last '/' or '\',
/// at most 200 bytes of UTF-8, with '_' for control characters, direction overrides, `<>:"|?*`, and
/// a '.' or '-' at the beginning.
/// Returns: nothing if there is none, or nothing is left of it.
RONDO_API std::optional<std::string> disposition_file_name(std::string_view value);

}  // namespace http
}  // namespace v0
}  // namespace rondo
