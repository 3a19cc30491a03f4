// SPDX-License-Identifier: MIT
// Header fields, lists and parameters (RFC 9110, section 5).
#include <rondo/http/fields.hpp>

#include <algorithm>
#include <functional>

#include "http/ascii.hpp"
#include "http/field_writer.hpp"

namespace rondo {
inline namespace v0 {

bool detail::same_letters(const char* a, const char* b, std::size_t size) noexcept {
    using http::ascii::lower;
    return std::equal(a, a + size, b, [](char x, char y) {
        return x == y || ((x ^ y) == 0x20 && lower(x) == lower(y));
    });
}

namespace http {

namespace {

using namespace ascii;

/// The next element of a list, without spaces around it; may be empty. Removes it from `rest`.
std::string_view take_element(std::string_view& rest) noexcept {
    bool is_quoted = false;
    std::size_t end = rest.find(',') == std::string_view::npos ? rest.size() : 0;
    for (; end < rest.size(); ++end) {
        if (is_quoted && rest[end] == '\\' && end + 1 < rest.size())
            ++end;
        else if (rest[end] == '"')
            is_quoted = !is_quoted;
        else if (rest[end] == ',' && !is_quoted)
            break;
    }
    const std::string_view element = trimmed(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
    return element;
}

constexpr std::size_t usual_text = 256;  // of the fields of a request; a response has more

void check_name(std::string_view name) {
    if (!is_token(name))
        throw error('"' + printable(name) + "\" is not the name of a header field");
}

}  // namespace

bool is_token(std::string_view text) noexcept {
    return !text.empty() &&
           std::all_of(text.begin(), text.end(), [](char c) { return token_characters.has(c); });
}

bool is_field_value(std::string_view text) noexcept {
    return std::none_of(text.begin(), text.end(),
                        [](char c) { return is_control(c) && c != '\t'; });
}

std::size_t fields::find(std::string_view name, std::size_t from) const noexcept {
    while (from < entries_.size() && !same_word(at(from).name, name)) ++from;
    return from;
}

std::optional<std::string_view> fields::get(std::string_view name) const noexcept {
    const std::size_t found = find(name);
    if (found == size()) return std::nullopt;
    return at(found).value;
}

std::vector<std::string_view> fields::get_all(std::string_view name) const {
    std::vector<std::string_view> values;
    for (std::size_t i = find(name); i < size(); i = find(name, i + 1))
        values.push_back(at(i).value);
    return values;
}

std::string fields::joined(std::string_view name) const {
    std::string result;
    for (std::size_t i = find(name); i < size(); i = find(name, i + 1)) {
        if (!result.empty()) result += ", ";
        result += at(i).value;
    }
    return result;
}

bool fields::has_token(std::string_view name, std::string_view token) const noexcept {
    for (std::size_t i = find(name); i < size(); i = find(name, i + 1)) {
        std::string_view rest = at(i).value;
        while (!rest.empty())
            if (same_word(take_element(rest), token)) return true;
    }
    return false;
}

// The arguments may be views of this object's own text: then they are copied before it grows.
fields::entry fields::write(std::string_view name, std::string_view value) {
    check_name(name);
    if (!is_field_value(value))
        throw error("the value of the header field " + std::string(name) +
                    " has a line end or another control character");
    value = trimmed(value);
    const std::size_t more = name.size() + value.size();
    if (text_.size() + more > UINT32_MAX) throw error("the header fields exceed 4 GiB");
    const entry made = {static_cast<std::uint32_t>(text_.size()),
                        static_cast<std::uint32_t>(name.size()),
                        static_cast<std::uint32_t>(value.size())};
    if (is_own(name) || is_own(value))
        text_ += std::string(name) + std::string(value);
    else
        text_.append(name).append(value);
    return made;
}

bool fields::is_own(std::string_view part) const noexcept {
    const std::less<const char*> before;
    return !before(part.data(), text_.data()) && before(part.data(), text_.data() + text_.size());
}

fields& fields::add(std::string_view name, std::string_view value) {
    if (entries_.size() == entries_.capacity()) entries_.reserve(entries_.size() * 2 + 8);
    if (text_.empty()) text_.reserve(usual_text);
    entries_.push_back(write(name, value));
    return *this;
}

fields& fields::set(std::string_view name, std::string_view value) {
    const std::size_t found = find(name);
    if (found == size()) return add(name, value);
    const std::string key(name);  // `name` may be a view of what is erased
    const entry made = write(name, value);
    garbage_ += entries_[found].name_size + entries_[found].value_size;
    entries_[found] = made;
    for (std::size_t i = find(key, found + 1); i < size(); i = find(key, i)) {
        garbage_ += entries_[i].name_size + entries_[i].value_size;
        entries_.erase(entries_.begin() + static_cast<std::ptrdiff_t>(i));
    }
    compact();
    return *this;
}

std::size_t fields::erase(std::string_view name) {
    const std::size_t found = find(name);
    if (found == size()) return 0;
    const std::string key(name);  // `name` may be a view of what is erased
    const std::size_t before = size();
    for (std::size_t i = found; i < size(); i = find(key, i)) {
        garbage_ += entries_[i].name_size + entries_[i].value_size;
        entries_.erase(entries_.begin() + static_cast<std::ptrdiff_t>(i));
    }
    compact();
    return before - size();
}

void fields::clear() noexcept {
    text_.clear();
    entries_.clear();
    garbage_ = 0;
}

// A field that is set again and again must not grow the text for ever.
void fields::compact() {
    if (garbage_ <= 256 || garbage_ * 2 <= text_.size()) return;
    std::string text;
    text.reserve(text_.size() - garbage_);
    for (entry& e : entries_) {
        const auto begin = static_cast<std::uint32_t>(text.size());
        text.append(text_, e.begin, std::size_t{e.name_size} + e.value_size);
        e.begin = begin;
    }
    text_ = std::move(text);
    garbage_ = 0;
}

bool fields::operator==(const fields& other) const noexcept {
    if (size() != other.size()) return false;
    for (std::size_t i = 0; i < size(); ++i)
        if (!same_word(at(i).name, other.at(i).name) || at(i).value != other.at(i).value)
            return false;
    return true;
}

// -- what a decoder writes ------------------------------------------------------------------------

void field_writer::add(std::string_view name, std::string_view value) {
    if (to_.entries_.capacity() == 0) {
        to_.entries_.reserve(16);
        to_.text_.reserve(2 * usual_text);
    }
    to_.entries_.push_back({static_cast<std::uint32_t>(to_.text_.size()),
                            static_cast<std::uint32_t>(name.size()),
                            static_cast<std::uint32_t>(value.size())});
    to_.text_.append(name).append(value);
}

void field_writer::extend_last(std::string_view value) {
    if (value.empty()) return;
    fields::entry& last = to_.entries_.back();
    if (last.value_size > 0) to_.text_ += ' ';
    const std::size_t more = value.size() + (last.value_size > 0 ? 1 : 0);
    to_.text_ += value;
    last.value_size += static_cast<std::uint32_t>(more);
}

// -- lists and parameters -------------------------------------------------------------------------

std::vector<std::string_view> split_list(std::string_view value) {
    std::vector<std::string_view> result;
    while (!value.empty()) {
        const std::string_view element = take_element(value);
        if (!element.empty()) result.push_back(element);
    }
    return result;
}

namespace {

/// A quoted string at the beginning of `rest`, unquoted, or the text before the next ';'.
std::string take_parameter_value(std::string_view& rest) {
    std::string value;
    if (rest.empty() || rest.front() != '"') {
        const std::string_view text = rest.substr(0, rest.find(';'));
        rest.remove_prefix(text.size());
        return std::string(trimmed(text));
    }
    std::size_t i = 1;
    for (; i < rest.size() && rest[i] != '"'; ++i) {
        if (rest[i] == '\\' && i + 1 < rest.size()) ++i;
        value += rest[i];
    }
    rest.remove_prefix(std::min(i + 1, rest.size()));
    return value;
}

}  // namespace

parameters::parameters(std::string_view text) {
    value_ = trimmed(text.substr(0, text.find(';')));
    text.remove_prefix(std::min(text.find(';'), text.size()));
    while (!text.empty()) {
        text.remove_prefix(1);  // the ';'
        const std::string_view name = text.substr(0, text.find_first_of("=;"));
        text.remove_prefix(name.size());
        std::string value;
        if (!text.empty() && text.front() == '=') {
            text.remove_prefix(1);
            while (!text.empty() && (text.front() == ' ' || text.front() == '\t'))
                text.remove_prefix(1);
            value = take_parameter_value(text);
            text.remove_prefix(std::min(text.find(';'), text.size()));
        }
        if (const auto trimmed_name = trimmed(name); !trimmed_name.empty())
            all_.emplace_back(trimmed_name, std::move(value));
    }
}

std::optional<std::string_view> parameters::get(std::string_view name) const noexcept {
    for (const auto& [key, value] : all_)
        if (same_word(key, name)) return value;
    return std::nullopt;
}

std::string quoted(std::string_view text) {
    if (is_token(text)) return std::string(text);
    if (!is_field_value(text)) throw error("a parameter has a line end or a control character");
    std::string result = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') result += '\\';
        result += c;
    }
    return result += '"';
}

}  // namespace http
}  // namespace v0
}  // namespace rondo
