// SPDX-License-Identifier: MIT
// Header fields: ordered, names without regard to case, repeated ones kept. All names and values
// lie in one string, so that a head of a message costs two allocations whatever its fields.
//
//     http::fields headers;
//     headers.set("accept", "application/json").add("via", "a").add("via", "b");
//     for (const auto& [name, value] : headers) …
//     if (headers.has_token("connection", "close")) …
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <rondo/config.hpp>
#include <rondo/http/error.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {
RONDO_API bool same_letters(const char* a, const char* b, std::size_t size) noexcept;
}  // namespace detail

namespace http {

/// A header field, viewed in its `fields`.
struct field {
    std::string_view name;
    std::string_view value;
};

/// The header fields of a message. Views of names and values are good until the next change.
class RONDO_API fields {
public:
    class iterator;

    fields() noexcept = default;

    bool empty() const noexcept { return entries_.empty(); }
    /// The number of fields, repeated ones counted each.
    std::size_t size() const noexcept { return entries_.size(); }
    iterator begin() const noexcept;
    iterator end() const noexcept;

    bool contains(std::string_view name) const noexcept { return find(name) < size(); }
    /// The value of the first field of that name.
    std::optional<std::string_view> get(std::string_view name) const noexcept;
    /// The values of all fields of that name, in their order.
    std::vector<std::string_view> get_all(std::string_view name) const;
    /// The values of all fields of that name, joined by ", " as RFC 9110, section 5.3, allows for
    /// lists. Not for Set-Cookie.
    std::string joined(std::string_view name) const;
    /// True if `token` is an element of the comma-separated lists in the fields of that name,
    /// case ignored.
    bool has_token(std::string_view name, std::string_view token) const noexcept;

    /// Replaces the fields of that name by one, in the place of the first. Spaces around the value
    /// are left out.
    /// Throws: http::error if `name` is not a token, or `value` has a CR, LF, NUL or another
    ///         control character except a tab; the text names the field and not the value.
    fields& set(std::string_view name, std::string_view value);
    /// Adds a field at the end. Throws: as set().
    fields& add(std::string_view name, std::string_view value);
    /// Removes the fields of that name.
    /// Returns: their number.
    std::size_t erase(std::string_view name);
    void clear() noexcept;

    bool operator==(const fields& other) const noexcept;

private:
    friend class field_writer;
    struct entry {
        std::uint32_t begin;  // of the name in text_; the value follows it
        std::uint32_t name_size;
        std::uint32_t value_size;
    };
    field at(std::size_t index) const noexcept;
    std::size_t find(std::string_view name, std::size_t from = 0) const noexcept;
    entry write(std::string_view name, std::string_view value);
    bool is_own(std::string_view part) const noexcept;  // a view of text_
    void compact();

    std::string text_;
    std::vector<entry> entries_;
    std::size_t garbage_ = 0;  // bytes of text_ that no entry has
};

class fields::iterator {
public:
    using iterator_category = std::input_iterator_tag;
    using value_type = field;
    using difference_type = std::ptrdiff_t;
    using pointer = const field*;
    using reference = field;

    iterator() noexcept = default;
    field operator*() const noexcept { return all_->at(index_); }
    iterator& operator++() noexcept {
        ++index_;
        return *this;
    }
    iterator operator++(int) noexcept { return iterator(*all_, index_++); }
    bool operator==(const iterator& other) const noexcept { return index_ == other.index_; }

private:
    friend class fields;
    iterator(const fields& all, std::size_t index) noexcept : all_(&all), index_(index) {}

    const fields* all_ = nullptr;
    std::size_t index_ = 0;
};

inline field fields::at(std::size_t index) const noexcept {
    const entry& e = entries_[index];
    const char* name = text_.data() + e.begin;
    return {{name, e.name_size}, {name + e.name_size, e.value_size}};
}
inline fields::iterator fields::begin() const noexcept { return {*this, 0}; }
inline fields::iterator fields::end() const noexcept { return {*this, size()}; }

/// True for a name of a field or a method: letters, digits and "!#$%&'*+-.^_`|~", at least one.
RONDO_API bool is_token(std::string_view text) noexcept;
/// True if `text` has no control character except tabs.
RONDO_API bool is_field_value(std::string_view text) noexcept;
/// Compares without regard to the case of ASCII letters.
inline bool same_word(std::string_view a, std::string_view b) noexcept {
    if (a.size() != b.size()) return false;
    if (!a.empty() && ((a.front() ^ b.front()) & ~0x20) != 0) return false;  // most differ here
    return rondo::detail::same_letters(a.data(), b.data(), a.size());
}

/// The elements of a comma-separated list, without spaces around them and without empty ones. A
/// comma inside a quoted string separates nothing.
RONDO_API std::vector<std::string_view> split_list(std::string_view value);

/// A value with parameters: `text/html; charset="utf-8"`.
class RONDO_API parameters {
public:
    /// Parses leniently, since servers err: a parameter without '=' has an empty value, an unclosed
    /// quoted string ends with the text.
    explicit parameters(std::string_view text);

    /// The text before the first ';', without spaces around it.
    const std::string& value() const noexcept { return value_; }
    /// The first parameter of that name, case ignored, with its quotes and escapes resolved.
    std::optional<std::string_view> get(std::string_view name) const noexcept;
    /// All parameters, in their order.
    const std::vector<std::pair<std::string, std::string>>& all() const noexcept { return all_; }

private:
    std::string value_;
    std::vector<std::pair<std::string, std::string>> all_;
};

/// `text` as a parameter's value: as it stands if it is a token, otherwise quoted and escaped.
/// Throws: http::error for control characters.
RONDO_API std::string quoted(std::string_view text);

}  // namespace http
}  // namespace v0
}  // namespace rondo
