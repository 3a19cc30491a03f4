// SPDX-License-Identifier: MIT
// Dates of HTTP (RFC 9110, section 5.6.7), without regard to the locale.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include <rondo/config.hpp>

namespace rondo {
inline namespace v0 {
namespace http {

/// A moment of the calendar, in whole seconds: of `date`, `last-modified`, cookies.
using date_time = std::chrono::sys_seconds;

/// "Sun, 06 Nov 1994 08:49:37 GMT".
RONDO_API std::string http_date(date_time when);

/// Reads the three forms that a recipient must take: "Sun, 06 Nov 1994 08:49:37 GMT",
/// "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994". The day of the week is not
/// compared. Two digits of a year are 1970 to 2069.
/// Returns: nothing if it is none of them, or no day of the calendar.
RONDO_API std::optional<date_time> parse_http_date(std::string_view text);

/// The time to wait that `retry-after` tells: a number of seconds, or a date compared with `now`.
/// Returns: nothing if it is neither; zero for a date that has passed.
RONDO_API std::optional<std::chrono::seconds> parse_retry_after(std::string_view value,
                                                                date_time now);

}  // namespace http
}  // namespace v0
}  // namespace rondo
