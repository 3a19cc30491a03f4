// SPDX-License-Identifier: MIT
#include <rondo/http/date.hpp>

#include <algorithm>
#include <array>

#include <rondo/http/fields.hpp>

#include "http/ascii.hpp"
#include "http/date_parts.hpp"

namespace rondo {
inline namespace v0 {
namespace http {

namespace {

constexpr std::array<std::string_view, 7> days = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};

void append_number(std::string& to, long number, std::size_t width) {
    const std::string digits = std::to_string(number);
    to.append(width - std::min(width, digits.size()), '0').append(digits);
}

/// The parts between spaces, dashes and colons; empty ones are left out.
class words {
public:
    explicit words(std::string_view text) noexcept : rest_(text) {}
    std::string_view next() noexcept {
        while (!rest_.empty() && is_between(rest_.front())) rest_.remove_prefix(1);
        std::size_t size = 0;
        while (size < rest_.size() && !is_between(rest_[size])) ++size;
        const std::string_view word = rest_.substr(0, size);
        rest_.remove_prefix(size);
        return word;
    }

private:
    static bool is_between(char c) noexcept { return c == ' ' || c == '-' || c == ':'; }

    std::string_view rest_;
};

}  // namespace

std::optional<int> number_of(std::string_view digits, std::size_t size_min,
                             std::size_t size_max) noexcept {
    if (digits.size() < size_min || digits.size() > size_max) return std::nullopt;
    int value = 0;
    for (const char c : digits) {
        if (!ascii::is_digit(c)) return std::nullopt;
        value = 10 * value + (c - '0');
    }
    return value;
}

std::optional<int> month_of(std::string_view name) noexcept {
    const auto found = std::find_if(months.begin(), months.end(), [name](std::string_view month) {
        return same_word(month, name);
    });
    if (found == months.end()) return std::nullopt;
    return static_cast<int>(found - months.begin()) + 1;
}

std::optional<date_time> date_parts::moment() const noexcept {
    if (!year || !month || !day || !hour || !minute || !second) return std::nullopt;
    using namespace std::chrono;
    const year_month_day date(std::chrono::year(*year),
                              std::chrono::month(static_cast<unsigned>(*month)),
                              std::chrono::day(static_cast<unsigned>(*day)));
    if (!date.ok() || *year < 1601 || *hour > 23 || *minute > 59 || *second > 60)
        return std::nullopt;
    return sys_days(date) + hours(*hour) + minutes(*minute) + seconds(std::min(*second, 59));
}

std::string http_date(date_time when) {
    using namespace std::chrono;
    const sys_days day = floor<std::chrono::days>(when);
    const year_month_day date(day);
    const hh_mm_ss time(when - day);
    std::string text(days[weekday(day).c_encoding()]);
    append_number(text += ", ", static_cast<unsigned>(date.day()), 2);
    (text += ' ') += months[static_cast<unsigned>(date.month()) - 1];
    append_number(text += ' ', static_cast<int>(date.year()), 4);
    append_number(text += ' ', static_cast<long>(time.hours().count()), 2);
    append_number(text += ':', static_cast<long>(time.minutes().count()), 2);
    append_number(text += ':', static_cast<long>(time.seconds().count()), 2);
    return text += " GMT";
}

namespace {

/// "Sun, 06 Nov 1994 08:49:37 GMT": what nearly all programs send.
std::optional<date_time> usual_date(std::string_view text) noexcept {
    constexpr std::string_view form = "---, -- --- ---- --:--:-- GMT";
    if (text.size() != form.size()) return std::nullopt;
    for (const std::size_t at : {3u, 4u, 7u, 11u, 16u, 19u, 22u, 25u, 26u, 27u, 28u})
        if (text[at] != form[at]) return std::nullopt;
    date_parts parts;
    parts.day = number_of(text.substr(5, 2), 2, 2);
    parts.month = month_of(text.substr(8, 3));
    parts.year = number_of(text.substr(12, 4), 4, 4);
    parts.hour = number_of(text.substr(17, 2), 2, 2);
    parts.minute = number_of(text.substr(20, 2), 2, 2);
    parts.second = number_of(text.substr(23, 2), 2, 2);
    return parts.moment();
}

}  // namespace

std::optional<date_time> parse_http_date(std::string_view text) {
    text = ascii::trimmed(text);
    if (const auto usual = usual_date(text)) return usual;
    if (text.size() > 40) return std::nullopt;
    const auto comma = text.find(',');
    words rest(comma == std::string_view::npos ? text : text.substr(comma + 1));
    date_parts parts;
    if (comma == std::string_view::npos) {  // asctime
        if (rest.next().size() != 3) return std::nullopt;
        parts.month = month_of(rest.next());
        parts.day = number_of(rest.next(), 1, 2);
    } else {
        parts.day = number_of(rest.next(), 1, 2);
        parts.month = month_of(rest.next());
        parts.take_year(rest.next());
    }
    parts.hour = number_of(rest.next(), 2, 2);
    parts.minute = number_of(rest.next(), 2, 2);
    parts.second = number_of(rest.next(), 2, 2);
    if (comma == std::string_view::npos)
        parts.year = number_of(rest.next(), 4, 4);
    else if (rest.next() != "GMT")
        return std::nullopt;
    if (!rest.next().empty()) return std::nullopt;
    return parts.moment();
}

void date_parts::take_year(std::string_view digits) noexcept {
    year = number_of(digits, 2, 4);
    if (!year) return;
    if (*year < 70) *year += 2000;
    if (*year < 100) *year += 1900;
}

std::optional<std::chrono::seconds> parse_retry_after(std::string_view value, date_time now) {
    value = ascii::trimmed(value);
    if (const auto count = number_of(value, 1, 9)) return std::chrono::seconds(*count);
    if (const auto when = parse_http_date(value))
        return std::max(std::chrono::seconds(0), *when - now);
    return std::nullopt;
}

}  // namespace http
}  // namespace v0
}  // namespace rondo
