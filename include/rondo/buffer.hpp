// SPDX-License-Identifier: MIT
// Bytes that somebody else owns. A read is given a `buffer_view` (where bytes may go), a write a
// `const_buffer` (where they come from), and a read gives back a `chunk` (the part that it filled).
// All three are a pointer and a size; they are made without a word from what a caller has (arrays,
// strings, vectors, spans), and they may borrow temporaries, since an await ends before its full
// expression does.
//
// The element type is char: most of what goes through a socket is text or copied, and char may
// alias everything. Buffers of std::byte and unsigned char are taken as well. std::span<std::byte>
// in the interface would be purer, and every call would need a cast.
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

/// What may be written to: named by the caller, or (a span) naming bytes that it does not own.
template <class R>
concept writable_byte_range =
    byte_range<std::remove_reference_t<R>> &&
    !std::is_const_v<byte_of<std::remove_reference_t<R>>> &&
    (std::is_lvalue_reference_v<R> || std::ranges::enable_borrowed_range<std::remove_cvref_t<R>>);

inline char no_bytes;  // what an empty chunk that is not the end points to where its buffer is null

}  // namespace detail

/// Bytes to be filled: a pointer and a size, borrowed.
class buffer_view {
public:
    constexpr buffer_view() noexcept = default;
    buffer_view(void* data, std::size_t size) noexcept
        : data_(static_cast<char*>(data)), size_(size) {}

    /// From std::array, a plain array, std::string, std::vector, std::span of char, unsigned char
    /// or std::byte.
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
        RONDO_ASSERT(count <= size_, "buffer_view::first was asked for too much");
        return {data_, count};
    }
    /// What is left behind the first `count` bytes.
    buffer_view without_first(std::size_t count) const noexcept {
        RONDO_ASSERT(count <= size_, "buffer_view::without_first was asked for too much");
        return {data_ + count, size_ - count};
    }

private:
    char* data_ = nullptr;
    std::size_t size_ = 0;
};

/// Text that can be changed in place: a std::span<char> that is a std::string_view where one is
/// wanted.
class writable_text : public std::span<char> {
public:
    using std::span<char>::span;

    operator std::string_view() const noexcept { return {data(), size()}; }
    friend bool operator==(writable_text a, std::string_view b) noexcept {
        return std::string_view(a) == b;
    }
};

/// What a read filled: a part of the buffer that the caller gave, still writable. False at the end
/// of the stream, and there only: an empty datagram is an empty chunk that is true.
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

    /// The same as characters: iterates as `char&`, converts to std::string_view.
    writable_text text() const noexcept { return {data_, size_}; }
    std::span<std::byte> bytes() const noexcept {
        return std::as_writable_bytes(std::span<char>(data_, size_));
    }

private:
    char* data_ = nullptr;  // null is the end; a flag would take chunk out of two registers
    std::size_t size_ = 0;
};

/// Bytes to be written: a pointer and a size, borrowed until the write has ended.
class const_buffer {
public:
    constexpr const_buffer() noexcept = default;
    const_buffer(const void* data, std::size_t size) noexcept
        : data_(static_cast<const char*>(data)), size_(size) {}

    /// From everything that has bytes: std::string, std::string_view, std::vector, std::array,
    /// std::span, chunk, buffer_view, and temporaries of these.
    template <class R>
        requires(detail::byte_range<const R> && !std::is_same_v<R, const_buffer> &&
                 !std::is_array_v<R>)
    const_buffer(const R& range) noexcept : const_buffer(std::data(range), std::size(range)) {}

    /// A plain array is all of its elements ...
    template <detail::byte_like B, std::size_t Size>
    const_buffer(B (&array)[Size]) noexcept : const_buffer(array, Size) {}
    /// ... but a literal is its text: the NUL that closes it is not written.
    template <std::size_t Size>
    const_buffer(const char (&literal)[Size]) noexcept
        : const_buffer(literal, Size - (literal[Size - 1] == '\0' ? 1 : 0)) {}
    /// A C string, up to its NUL. A template, so that an array does not decay into it.
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
        RONDO_ASSERT(count <= size_, "const_buffer::first was asked for too much");
        return {data_, count};
    }
    /// What is left behind the first `count` bytes.
    const_buffer without_first(std::size_t count) const noexcept {
        RONDO_ASSERT(count <= size_, "const_buffer::without_first was asked for too much");
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

// They name bytes that they do not own, so temporaries of them may be read into.
template <>
inline constexpr bool std::ranges::enable_borrowed_range<rondo::writable_text> = true;
template <>
inline constexpr bool std::ranges::enable_borrowed_range<rondo::chunk> = true;
