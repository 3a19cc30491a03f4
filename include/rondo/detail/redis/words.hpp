// SPDX-License-Identifier: MIT
// The words of a command, encoded as they are sent (RESP: an array of bulk strings).
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

#include <rondo/config.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

template <class T>
concept redis_text = std::convertible_to<const T&, std::string_view>;
template <class T>
concept redis_number =
    (std::integral<T> || std::floating_point<T>) && !std::same_as<T, bool> &&
    !std::same_as<T, char> && !std::same_as<T, wchar_t> && !std::same_as<T, char8_t>;

/// A text or a number that is an argument of a call. It borrows the text.
class RONDO_API redis_word {
public:
    template <redis_text T>
    redis_word(const T& text) noexcept : text_(std::string_view(text)) {}
    template <redis_number N>
    redis_word(N number) noexcept {
        if constexpr (std::floating_point<N>)
            write(static_cast<double>(number));
        else if constexpr (std::is_unsigned_v<N>)
            write(static_cast<std::uint64_t>(number));
        else
            write(static_cast<std::int64_t>(number));
    }
    std::string_view text() const noexcept {
        return size_ == 0 ? text_ : std::string_view(digits_, size_);
    }

private:
    void write(std::int64_t number) noexcept;
    void write(std::uint64_t number) noexcept;
    void write(double number) noexcept;

    std::string_view text_;
    std::size_t size_ = 0;  // of the digits of a number
    char digits_[32];
};

template <class T>
concept redis_single = redis_text<T> || redis_number<T>;
template <class T>
concept redis_range = !redis_text<T> && requires(const T& range) {
    range.begin() != range.end();
    requires redis_single<std::remove_cvref_t<decltype(*range.begin())>>;
};
template <class T>
concept redis_argument = redis_single<T> || redis_range<T>;

class RONDO_API redis_words {
public:
    /// `name` may have several words, separated by spaces.
    explicit redis_words(std::string_view name);

    void add(const redis_word& word);
    template <redis_range R>
    void add(const R& range) {
        for (const auto& each : range) add(redis_word(each));
    }

    std::size_t count() const noexcept { return count_; }
    /// "*COUNT\r\n", which is sent before `body`.
    std::string head() const;
    const std::string& body() const noexcept { return body_; }
    /// The first word, in capital letters, and the word of that number; empty if there is none.
    std::string_view name() const noexcept { return name_; }
    std::string_view word(std::size_t index) const noexcept;

private:
    std::string body_;
    std::string name_;
    std::size_t count_ = 0;
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
