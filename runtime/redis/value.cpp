// SPDX-License-Identifier: MIT
// Values: what a reply is, and errors if it is something else.
#include <rondo/redis/value.hpp>

#include <charconv>

namespace rondo {
inline namespace v0 {
namespace redis {

namespace {

const char* name_of(value_kind kind) noexcept {
    switch (kind) {
        case value_kind::nil: return "nil";
        case value_kind::text: return "a text";
        case value_kind::status: return "a status";
        case value_kind::number: return "a number";
        case value_kind::list: return "a list";
        case value_kind::error: return "an error";
    }
    return "";
}

[[noreturn]] void throw_other(const value& given, const char* wanted) {
    std::string what = "the reply is ";
    what += name_of(given.kind());
    if (given.kind() == value_kind::error) what += " (" + given.text() + ")";
    throw error(what + ", and not " + wanted);
}

const std::vector<value> no_values;

/// Appends a text in quotes, with its control characters as \x0a.
void quote(std::string& to, std::string_view text) {
    constexpr char digits[] = "0123456789abcdef";
    to += '"';
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte >= ' ' && byte != 127 && c != '"' && c != '\\') {
            to += c;
            continue;
        }
        to += "\\x";
        to += digits[byte / 16];
        to += digits[byte % 16];
    }
    to += '"';
}

}  // namespace

const std::string& value::text() const& {
    const std::string* const text = std::get_if<std::string>(&content_);
    if (text == nullptr) throw_other(*this, "a text");
    return *text;
}
std::string value::text() && {
    static_cast<void>(std::as_const(*this).text());
    return std::get<std::string>(std::move(content_));
}

std::optional<std::string> value::optional_text() && {
    if (is_nil()) return std::nullopt;
    return std::move(*this).text();
}

std::int64_t value::number() const {
    if (const std::int64_t* const number = std::get_if<std::int64_t>(&content_)) return *number;
    if (const std::string* const text = std::get_if<std::string>(&content_)) {
        std::int64_t number = 0;
        const char* const end = text->data() + text->size();
        const auto read = std::from_chars(text->data(), end, number);
        if (read.ec == std::errc() && read.ptr == end) return number;
    }
    throw_other(*this, "a number");
}

const std::vector<value>& value::list() const& {
    if (is_nil()) return no_values;
    const std::vector<value>* const list = std::get_if<std::vector<value>>(&content_);
    if (list == nullptr) throw_other(*this, "a list");
    return *list;
}
std::vector<value> value::list() && {
    if (is_nil()) return {};
    static_cast<void>(std::as_const(*this).list());
    return std::get<std::vector<value>>(std::move(content_));
}

const value& value::operator[](std::size_t index) const {
    const std::vector<value>& all = list();
    if (index >= all.size())
        throw error("the reply is a list of " + std::to_string(all.size()) +
                    ", without element " + std::to_string(index));
    return all[index];
}

const value* value::find(std::string_view name) const {
    const std::vector<value>& all = list();
    for (std::size_t i = 0; i + 1 < all.size(); i += 2)
        if (all[i] == name) return &all[i + 1];
    return nullptr;
}

std::string value::describe() const {
    switch (kind_) {
        case value_kind::nil: return "nil";
        case value_kind::number: return std::to_string(number());
        case value_kind::status: return text();
        case value_kind::text:
        case value_kind::error: break;
        case value_kind::list: {
            std::string all = "[";
            for (const value& each : list()) {
                if (all.size() > 1) all += ", ";
                all += each.describe();
            }
            return all + "]";
        }
    }
    std::string all = kind_ == value_kind::error ? "error " : "";
    quote(all, text());
    return all;
}

}  // namespace redis
}  // namespace v0
}  // namespace rondo
