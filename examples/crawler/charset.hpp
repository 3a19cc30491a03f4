// SPDX-License-Identifier: MIT
// The character encoding of a page. No I/O.
#pragma once

#include <string>
#include <string_view>

namespace crawler {

/// The encoding of a page: of its byte order mark, else `declared` (the charset of Content-Type),
/// else of a <meta> in its first 1024 bytes, else UTF-8.
std::string charset_of(std::string_view page, std::string_view declared);

/// `page` in UTF-8. Bytes that mean nothing in `charset` become U+FFFD. A text in an encoding that
/// iconv(3) does not know stays as it is.
std::string to_utf8(std::string page, const std::string& charset);

}  // namespace crawler
