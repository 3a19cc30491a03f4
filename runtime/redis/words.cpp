// SPDX-License-Identifier: MIT
// Encoding of commands.
#include <rondo/detail/redis/words.hpp>

#include <algorithm>
#include <charconv>

#include <rondo/redis/error.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

void redis_word::write(std::int64_t number) noexcept {
    size_ = static_cast<std::size_t>(
        std::to_chars(digits_, digits_ + sizeof digits_, number).ptr - digits_);
}
void redis_word::write(std::uint64_t number) noexcept {
    size_ = static_cast<std::size_t>(
        std::to_chars(digits_, digits_ + sizeof digits_, number).ptr - digits_);
}
/// The shortest text that gives the same number again.
void redis_word::write(double number) noexcept {
    size_ = static_cast<std::size_t>(
        std::to_chars(digits_, digits_ + sizeof digits_, number).ptr - digits_);
}

redis_words::redis_words(std::string_view name) {
    while (!name.empty()) {
        const std::string_view word = name.substr(0, name.find(' '));
        name.remove_prefix(std::min(name.size(), word.size() + 1));
        if (!word.empty()) add(word);
    }
    if (count_ == 0) throw redis::error("a command of Redis has a name");
    for (const char c : word(0)) name_ += 'a' <= c && c <= 'z' ? static_cast<char>(c - 32) : c;
}

void redis_words::add(const redis_word& word) {
    const std::string_view text = word.text();
    body_ += '$';
    body_ += redis_word(text.size()).text();
    body_ += "\r\n";
    body_ += text;
    body_ += "\r\n";
    ++count_;
}

std::string redis_words::head() const {
    return '*' + std::string(redis_word(count_).text()) + "\r\n";
}

std::string_view redis_words::word(std::size_t index) const noexcept {
    const std::string_view all = body_;
    for (std::size_t at = 0; at < all.size();) {
        std::size_t size = 0;
        const char* const end = std::from_chars(&all[at + 1], all.data() + all.size(), size).ptr;
        at = static_cast<std::size_t>(end - all.data()) + 2;
        if (index-- == 0) return all.substr(at, size);
        at += size + 2;
    }
    return {};
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
