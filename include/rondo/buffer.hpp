// SPDX-License-Identifier: MIT
// Borrowed bytes. A read takes a `buffer_view` (memory to fill) and returns a `chunk` (the part
// that it filled); a write takes a `const_buffer` (bytes to send). All three are a pointer and a
// size. They convert implicitly from arrays, strings, vectors and spans. They may borrow
// temporaries, since an await ends before its full expression does.
//
// The element type is char: most data on sockets is text or is copied, and char may alias every
// type. Buffers of std::byte and unsigned char convert as well. std::span<std::byte> would be
// purer, but every call would need a cast.
#pragma once

#include <cstddef>
#include <cstring>
#include <iterator>
#include <span>
#include <string_view>
#include <type_traits>

#include <rondo/config.hpp>
#include <rondo/detail/base/assert.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

template <class B>
concept byte_like = std::is_same_v<std::remove_cv_t<B>, char> ||
                    std::is_same_v<std::remove_cv_t<B>, unsigned char> ||
                    std::is_same_v<std::remove_cv_t<B>, std::byte>;

template <class R>
using byte_of = std::remove_pointer_t<decltype(std::data(std::declval<R&>()))>;

/// Contiguous bytes: has data() and size(), or is an array.
template <class R>
concept byte_range = requires(R& range) {
    requires byte_like<byte_of<R>>;
    { std::size(range) } -> std::convertible_to<std::size_t>;
};

/// Bytes that may be filled: an lvalue of the caller, or a type that borrows its bytes (a span).
template <class R>
concept writable_byte_range =
    byte_range<std::remove_reference_t<R>> &&
    !std::is_const_v<byte_of<std::remove_reference_t<R>>> &&
    (std::is_lvalue_reference_v<R> || std::ranges::enable_borrowed_range<std::remove_cvref_t<R>>);

inline char no_bytes;  // data() of an empty chunk whose buffer is null, since null means the end

}  // namespace detail

/// Memory for a read to fill: a pointer and a size, borrowed.
class buffer_view {
public:
    constexpr buffer_view() noexcept = default;
    buffer_view(void* data, std::size_t size) noexcept
        : data_(static_cast<char*>(data)), size_(size) {}

    /// Converts from std::array, plain arrays, std::string, std::vector and std::span of char,
    /// unsigned char or std::byte.
    template <class R>
        requires(detail::writable_byte_range<R> &&
                 !std::is_same_v<std::remove_cvref_t<R>, buffer_view>)
    buffer_view(R&& range) noexcept : buffer_view(std::data(range), std::size(range)) {}

    char* data() const noexcept { return data_; }
    std::size_t size() const noexcept { return size_; }
    bool empty() const noexcept { return size_ == 0; }
    char* begin() const noexcept { return data_; }
    char* end() const noexcept { return data_ + size_; }

    /// The first `count` bytes.
    buffer_view first(std::size_t count) const noexcept {
        RONDO_ASSERT(count <= size_, "buffer_view::first: count is larger than the buffer");
        return {data_, count};
    }
    /// Everything after the first `count` bytes.
    buffer_view without_first(std::size_t count) const noexcept {
        RONDO_ASSERT(count <= size_, "buffer_view::without_first: count is larger than the buffer");
        return {data_ + count, size_ - count};
    }

private:
    char* data_ = nullptr;
    std::size_t size_ = 0;
};

/// Text that can be changed in place: a std::span<char> that converts to std::string_view.
class writable_text : public std::span<char> {
public:
    using std::span<char>::span;

    operator std::string_view() const noexcept { return {data(), size()}; }
    friend bool operator==(writable_text a, std::string_view b) noexcept {
        return std::string_view(a) == b;
    }
};

/// Result of a read: the filled part of the caller's buffer, still writable. It is false only at
/// the end of the stream. An empty datagram is an empty chunk that is true.
class chunk {
public:
    /// The end of the stream.
    constexpr chunk() noexcept = default;
    /// The filled part of a buffer. Never the end, even if it is empty.
    explicit chunk(buffer_view filled) noexcept
        : data_(filled.data() != nullptr ? filled.data() : &detail::no_bytes),
          size_(filled.size()) {}
    chunk(char* data, std::size_t size) noexcept : chunk(buffer_view(data, size)) {}

    explicit operator bool() const noexcept { return data_ != nullptr; }

    char* data() const noexcept { return data_; }
    std::size_t size() const noexcept { return size_; }
    bool empty() const noexcept { return size_ == 0; }
    char* begin() const noexcept { return data_; }
    char* end() const noexcept { return data_ + size_; }

    /// The bytes as text: iterates as `char&`, converts to std::string_view.
    writable_text text() const noexcept { return {data_, size_}; }
    std::span<std::byte> bytes() const noexcept {
        return std::as_writable_bytes(std::span<char>(data_, size_));
    }

private:
    char* data_ = nullptr;  // null means the end; with a flag, chunk would not fit two registers
    std::size_t size_ = 0;
};

/// Bytes to be written: a pointer and a size, borrowed until the write has ended.
class const_buffer {
public:
    constexpr const_buffer() noexcept = default;
    const_buffer(const void* data, std::size_t size) noexcept
        : data_(static_cast<const char*>(data)), size_(size) {}

    /// Converts from every contiguous range of bytes, also a temporary: std::string,
    /// std::string_view, std::vector, std::array, std::span, chunk, buffer_view.
    template <class R>
        requires(detail::byte_range<const R> && !std::is_same_v<R, const_buffer> &&
                 !std::is_array_v<R>)
    const_buffer(const R& range) noexcept : const_buffer(std::data(range), std::size(range)) {}

    /// Takes all elements of a plain array. (A string literal converts as its text: see below.)
    template <detail::byte_like B, std::size_t Size>
    const_buffer(B (&array)[Size]) noexcept : const_buffer(array, Size) {}
    /// Takes a string literal as its text, without the terminating NUL.
    template <std::size_t Size>
    const_buffer(const char (&literal)[Size]) noexcept
        : const_buffer(literal, Size - (literal[Size - 1] == '\0' ? 1 : 0)) {}
    /// Takes a C string without its NUL. A template, so that an array does not decay into it.
    template <class P>
        requires(std::is_same_v<P, const char*> || std::is_same_v<P, char*>)
    const_buffer(const P& text) noexcept : const_buffer(text, std::strlen(text)) {}

    const char* data() const noexcept { return data_; }
    std::size_t size() const noexcept { return size_; }
    bool empty() const noexcept { return size_ == 0; }
    const char* begin() const noexcept { return data_; }
    const char* end() const noexcept { return data_ + size_; }
    std::string_view text() const noexcept { return {data_, size_}; }

    /// The first `count` bytes.
    const_buffer first(std::size_t count) const noexcept {
        RONDO_ASSERT(count <= size_, "const_buffer::first: count is larger than the buffer");
        return {data_, count};
    }
    /// Everything after the first `count` bytes.
    const_buffer without_first(std::size_t count) const noexcept {
        RONDO_ASSERT(count <= size_,
                     "const_buffer::without_first: count is larger than the buffer");
        return {data_ + count, size_ - count};
    }

private:
    const char* data_ = nullptr;
    std::size_t size_ = 0;
};

static_assert(std::is_trivially_copyable_v<buffer_view> && sizeof(buffer_view) == 16);
static_assert(std::is_trivially_copyable_v<const_buffer> && sizeof(const_buffer) == 16);
static_assert(std::is_trivially_copyable_v<chunk> && sizeof(chunk) == 16);

}  // namespace v0
}  // namespace rondo

// Both borrow their bytes, so a read may fill a temporary of these types.
template <>
inline constexpr bool std::ranges::enable_borrowed_range<rondo::writable_text> = true;
template <>
inline constexpr bool std::ranges::enable_borrowed_range<rondo::chunk> = true;
