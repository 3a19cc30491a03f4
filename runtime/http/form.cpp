// SPDX-License-Identifier: MIT
#include <rondo/http/form.hpp>

#include <algorithm>

#include <rondo/http/url.hpp>

#include "http/ascii.hpp"

namespace rondo {
inline namespace v0 {
namespace http {

namespace {

std::string form_decoded(std::string_view text) {
    std::string result;
    result.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        const bool has_two = text[i] == '%' && i + 2 < text.size();
        const int high = has_two ? ascii::hex_digit(text[i + 1]) : -1;
        const int low = has_two ? ascii::hex_digit(text[i + 2]) : -1;
        if (high >= 0 && low >= 0) {
            result += static_cast<char>(high * 16 + low);
            i += 2;
        } else {
            result += text[i] == '+' ? ' ' : text[i];
        }
    }
    return result;
}

}  // namespace

form::form(std::string_view encoded) {
    while (!encoded.empty()) {
        const std::string_view item = encoded.substr(0, encoded.find('&'));
        encoded.remove_prefix(std::min(item.size() + 1, encoded.size()));
        if (item.empty()) continue;
        const auto equals = std::min(item.find('='), item.size());
        pairs_.emplace_back(form_decoded(item.substr(0, equals)),
                            form_decoded(item.substr(std::min(equals + 1, item.size()))));
    }
}

form& form::add(std::string_view name, std::string_view value) {
    pairs_.emplace_back(name, value);
    return *this;
}

std::optional<std::string_view> form::get(std::string_view name) const noexcept {
    for (const auto& [key, value] : pairs_)
        if (key == name) return value;
    return std::nullopt;
}

std::vector<std::string_view> form::get_all(std::string_view name) const {
    std::vector<std::string_view> values;
    for (const auto& [key, value] : pairs_)
        if (key == name) values.push_back(value);
    return values;
}

std::string form::text() const {
    std::string result;
    for (const auto& [name, value] : pairs_) {
        if (!result.empty()) result += '&';
        ((result += percent_encode(name)) += '=') += percent_encode(value);
    }
    return result;
}

}  // namespace http
}  // namespace v0
}  // namespace rondo
