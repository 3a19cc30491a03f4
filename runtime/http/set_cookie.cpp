// SPDX-License-Identifier: MIT
#include "http/set_cookie.hpp"

#include <algorithm>
#include <charconv>

#ifdef RONDO_WITH_PSL
#include <libpsl.h>
#endif

#include "http/ascii.hpp"
#include "http/date_parts.hpp"

namespace rondo {
inline namespace v0 {
namespace http {

namespace {

constexpr std::size_t attribute_bytes_max = 1024;
constexpr auto lifetime_max = std::chrono::hours(24 * 400);  // RFC 6265bis, section 5.5

std::string lowered(std::string_view text) {
    std::string result(text);
    std::transform(result.begin(), result.end(), result.begin(), ascii::lower);
    return result;
}

/// The part before `separator`; removes it and the separator from `rest`.
std::string_view take_until(std::string_view& rest, char separator) {
    const std::string_view part = rest.substr(0, rest.find(separator));
    rest.remove_prefix(std::min(part.size() + 1, rest.size()));
    return part;
}

/// A moment before every other one stands for "at once"; a long way off is cut to 400 days.
date_time after_seconds(std::string_view digits, bool is_negative, date_time now) {
    if (is_negative) return date_time::min();
    constexpr long long most = std::chrono::seconds(lifetime_max).count();
    long long count = 0;
    const auto error = std::from_chars(digits.data(), digits.data() + digits.size(), count).ec;
    if (error != std::errc()) count = most;
    return count <= 0 ? date_time::min() : now + std::chrono::seconds(std::min(count, most));
}

std::optional<date_time> parse_max_age(std::string_view value, date_time now) {
    const bool is_negative = !value.empty() && value.front() == '-';
    const std::string_view digits = value.substr(is_negative ? 1 : 0);
    if (digits.empty() || !std::all_of(digits.begin(), digits.end(), ascii::is_digit))
        return std::nullopt;
    return after_seconds(digits, is_negative, now);
}

class attributes {
public:
    attributes(set_cookie& made, date_time now) : made_(made), now_(now) {}

    void take(std::string_view name, std::string_view value) {
        if (value.size() > attribute_bytes_max) return;
        if (same_word(name, "secure")) made_.secure = true;
        if (same_word(name, "httponly")) made_.http_only = true;
        if (same_word(name, "domain")) take_domain(value);
        if (same_word(name, "path")) take_path(value);
        if (same_word(name, "expires") && !has_max_age_) {
            if (const auto when = parse_cookie_date(value))
                made_.expires = std::min(*when, now_ + lifetime_max);
        }
        if (same_word(name, "max-age")) {
            if (const auto when = parse_max_age(value, now_)) {
                made_.expires = when;
                has_max_age_ = true;  // it counts more than Expires
            }
        }
    }

private:
    void take_domain(std::string_view value) {
        if (!value.empty() && value.front() == '.') value.remove_prefix(1);
        made_.domain = lowered(value);
    }
    void take_path(std::string_view value) {
        const bool is_path = !value.empty() && value.front() == '/' &&
                             value.find('\t') == std::string_view::npos;  // the file's separator
        made_.path = is_path ? value : std::string_view();
        made_.has_path_slash = value == "/";
    }

    set_cookie& made_;
    date_time now_;
    bool has_max_age_ = false;
};

/// "08:49:37": hour, minute and second of one or two digits.
bool take_time(std::string_view token, date_parts& parts) {
    std::string_view rest = token;
    const auto hour = number_of(take_until(rest, ':'), 1, 2);
    const auto minute = number_of(take_until(rest, ':'), 1, 2);
    const std::string_view seconds = rest.substr(0, rest.find_first_not_of("0123456789"));
    const auto second = number_of(seconds, 1, 2);
    if (!hour || !minute || !second) return false;
    parts.hour = hour, parts.minute = minute, parts.second = second;
    return true;
}

}  // namespace

// Tokens in any order: a time, a day of the month, a month, a year; others are skipped.
std::optional<date_time> parse_cookie_date(std::string_view text) {
    constexpr std::string_view delimiters = "\t !\"#$%&'()*+,-./;<=>?@[\\]^_`{|}~";
    date_parts parts;
    while (!text.empty()) {
        text.remove_prefix(std::min(text.find_first_not_of(delimiters), text.size()));
        const std::string_view token = text.substr(0, text.find_first_of(delimiters));
        text.remove_prefix(token.size());
        const std::string_view digits = token.substr(0, token.find_first_not_of("0123456789"));
        if (!parts.hour && take_time(token, parts)) continue;
        if (!parts.day) {
            if ((parts.day = number_of(digits, 1, 2))) continue;
        }
        if (!parts.month && token.size() >= 3) {
            if ((parts.month = month_of(token.substr(0, 3)))) continue;
        }
        if (!parts.year && digits.size() != 3) parts.take_year(digits);
    }
    return parts.moment();
}

std::optional<set_cookie> parse_set_cookie(std::string_view text, date_time now) {
    if (std::any_of(text.begin(), text.end(),
                    [](char c) { return ascii::is_control(c) && c != '\t'; }))
        return std::nullopt;
    std::string_view pair = take_until(text, ';');
    set_cookie made;
    if (pair.find('=') != std::string_view::npos) made.name = ascii::trimmed(take_until(pair, '='));
    made.value = ascii::trimmed(pair);
    const std::size_t size = made.name.size() + made.value.size();
    const bool has_tab = (made.name + made.value).find('\t') != std::string::npos;
    if (size == 0 || size > cookie_jar::cookie_bytes_max || has_tab) return std::nullopt;
    attributes all(made, now);
    while (!text.empty()) {
        std::string_view value = take_until(text, ';');
        const std::string_view name = take_until(value, '=');
        all.take(ascii::trimmed(name), ascii::trimmed(value));
    }
    return made;
}

bool domain_matches(const url& host, std::string_view domain) {
    const std::string_view name = host.host();
    if (name == domain) return true;
    return host.kind() == host_kind::name && name.size() > domain.size() && !domain.empty() &&
           name.substr(name.size() - domain.size()) == domain &&
           name[name.size() - domain.size() - 1] == '.';
}

bool path_matches(std::string_view asked, std::string_view path) {
    if (asked.substr(0, path.size()) != path) return false;
    return asked.size() == path.size() || path.back() == '/' || asked[path.size()] == '/';
}

std::string default_cookie_path(std::string_view asked) {
    const auto slash = asked.rfind('/');
    if (asked.empty() || asked.front() != '/' || slash == 0) return "/";
    return std::string(asked.substr(0, slash));
}

#ifdef RONDO_WITH_PSL
bool is_public_suffix(const std::string& domain) {
    // The list of the system, or the one that libpsl was built with. It is never freed: cookies may
    // be received until the program ends.
    static const psl_ctx_t* const list = psl_latest(nullptr);
    if (list == nullptr) return domain.find('.') == std::string::npos;
    return psl_is_public_suffix(list, domain.c_str()) != 0;
}
#else
bool is_public_suffix(const std::string& domain) { return domain.find('.') == std::string::npos; }
#endif

}  // namespace http
}  // namespace v0
}  // namespace rondo
