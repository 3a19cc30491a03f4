// SPDX-License-Identifier: MIT
// A reply of a Redis server: nothing, a text, a number, or a list of replies.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <rondo/redis/error.hpp>

namespace rondo {
inline namespace v0 {

namespace detail {
class reply_reader;
}

namespace redis {

/// The kinds of a value. `status` is a text that the server made ("OK"), `error` an error inside of
/// a list; an error that is the whole reply is thrown.
enum class value_kind : std::uint8_t { nil, text, status, number, list, error };

/// A reply. A value like any other: copy it, move it, keep it.
///
///     const auto reply = co_await client.command("LRANGE", "names", 0, -1);
///     for (const auto& name : reply) fmt::print("{}\n", name.text());
///
/// See: what redis-py returns: None, bytes, int, list. RESP, version 2.
class RONDO_API value {
public:
    /// Nothing.
    value() noexcept = default;
    value(std::string text, value_kind kind = value_kind::text) noexcept
        : content_(std::move(text)), kind_(kind) {}
    value(const char* text) : value(std::string(text)) {}
    template <std::integral N>
        requires(!std::same_as<N, bool>)
    value(N number) noexcept
        : content_(static_cast<std::int64_t>(number)), kind_(value_kind::number) {}
    value(std::vector<value> list) noexcept
        : content_(std::move(list)), kind_(value_kind::list) {}

    value_kind kind() const noexcept { return kind_; }
    bool is_nil() const noexcept { return kind_ == value_kind::nil; }
    bool is_list() const noexcept { return kind_ == value_kind::list; }

    /// The bytes of a text, a status or an error.
    /// Throws: redis::error for nil, a number and a list: "the reply is nil, and not a text".
    const std::string& text() const&;
    std::string text() &&;
    /// The same; empty for nil.
    std::optional<std::string> optional_text() &&;
    /// The number; also of a text that is one, such as the value of a counter.
    /// Throws: redis::error for anything else.
    std::int64_t number() const;

    /// The elements of a list; nil has none.
    /// Throws: redis::error for a text and a number.
    const std::vector<value>& list() const&;
    std::vector<value> list() &&;
    std::size_t size() const { return list().size(); }
    auto begin() const { return list().begin(); }
    auto end() const { return list().end(); }
    /// Throws: redis::error if the list is shorter.
    const value& operator[](std::size_t index) const;
    /// In a list of names and values (HGETALL, XINFO): the value after `name`; null if there is
    /// none.
    const value* find(std::string_view name) const;

    /// For logs: `"text"`, 7, nil, [1, "two"].
    std::string describe() const;

    bool operator==(const value&) const noexcept = default;
    /// Also with a std::string, which is a value as well.
    template <std::convertible_to<std::string_view> S>
    friend bool operator==(const value& a, const S& b) noexcept {
        const std::string* const text = std::get_if<std::string>(&a.content_);
        return text != nullptr && *text == std::string_view(b);
    }
    template <std::integral N>
    friend bool operator==(const value& a, N b) noexcept {
        const std::int64_t* const number = std::get_if<std::int64_t>(&a.content_);
        return number != nullptr && std::cmp_equal(*number, b);
    }

private:
    friend class detail::reply_reader;
    std::variant<std::monostate, std::int64_t, std::string, std::vector<value>> content_;
    value_kind kind_ = value_kind::nil;
};

}  // namespace redis
}  // namespace v0
}  // namespace rondo
