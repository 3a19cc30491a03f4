// SPDX-License-Identifier: MIT
// Parts of a date, shared by the dates of HTTP and the laxer ones of cookies.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string_view>

#include <rondo/http/date.hpp>

namespace rondo {
inline namespace v0 {
namespace http {

inline constexpr std::array<std::string_view, 12> months = {
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

/// 1 to 12 of "Jan" to "Dec", case ignored.
std::optional<int> month_of(std::string_view name) noexcept;
/// A number of that many digits, and at most nine.
std::optional<int> number_of(std::string_view digits, std::size_t size_min,
                             std::size_t size_max) noexcept;

struct date_parts {
    std::optional<int> year, month, day, hour, minute, second;

    /// Two to four digits; two are 1970 to 2069.
    void take_year(std::string_view digits) noexcept;
    /// Returns: nothing if a part is missing, or it is no moment of the calendar from 1601 on.
    std::optional<date_time> moment() const noexcept;
};

}  // namespace http
}  // namespace v0
}  // namespace rondo
