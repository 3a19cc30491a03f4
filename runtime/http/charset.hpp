// SPDX-License-Identifier: MIT
// Character sets of texts: UTF-8 and Latin-1.
#pragma once

#include <string>
#include <string_view>

namespace rondo {
inline namespace v0 {
namespace http {

/// True if `text` is UTF-8, without overlong forms and surrogates.
bool is_utf8(std::string_view text) noexcept;
/// ISO 8859-1, whose bytes are the first 256 code points, as UTF-8.
std::string latin1_to_utf8(std::string_view text);

/// `text`, which is in `charset`, as UTF-8 without a byte order mark. An empty charset is UTF-8.
/// Bytes that are no UTF-8 stay as they are.
/// Throws: http::error that names a charset other than UTF-8, US-ASCII and Latin-1.
std::string to_utf8(std::string text, std::string_view charset);

}  // namespace http
}  // namespace v0
}  // namespace rondo
