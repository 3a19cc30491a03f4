// SPDX-License-Identifier: MIT
// Conversions to buffers: which types convert, to how many bytes, and which types do not.
#include <rondo/buffer.hpp>

#include <array>
#include <cctype>
#include <string>
#include <vector>

#include "support/catch.hpp"

using rondo::buffer_view;
using rondo::chunk;
using rondo::const_buffer;

namespace {

// Takes a buffer as a read or write does: by implicit conversion.
buffer_view writable(buffer_view b) { return b; }
const_buffer readable(const_buffer b) { return b; }
std::string written(const_buffer b) { return std::string(b.text()); }

template <class T>
constexpr bool is_writable = std::is_convertible_v<T, buffer_view>;
template <class T>
constexpr bool is_readable = std::is_convertible_v<T, const_buffer>;

static_assert(is_writable<std::array<char, 4>&> && is_writable<char (&)[4]>);
static_assert(is_writable<std::string&> && is_writable<std::vector<std::byte>&>);
static_assert(is_writable<std::vector<unsigned char>&> && is_writable<std::span<char>>);
static_assert(is_writable<std::span<std::byte, 4>> && is_writable<chunk>);
static_assert(!is_writable<const std::string&> && !is_writable<const char (&)[4]>);
static_assert(!is_writable<std::string_view> && !is_writable<std::span<const char>>);
// The bytes read into these would be lost:
static_assert(!is_writable<std::string> && !is_writable<std::vector<char>>);
static_assert(!is_writable<std::vector<int>&> && !is_writable<int (&)[4]>);
static_assert(!is_writable<const_buffer> && !is_writable<char*>);

static_assert(is_readable<std::string> && is_readable<const std::string&>);
static_assert(is_readable<std::string_view> && is_readable<const char*> && is_readable<char*>);
static_assert(is_readable<std::span<const std::byte>> && is_readable<std::vector<unsigned char>>);
static_assert(is_readable<chunk> && is_readable<buffer_view> && is_readable<const char (&)[4]>);
static_assert(!is_readable<std::vector<int>> && !is_readable<int> && !is_readable<void*>);
static_assert(!is_readable<std::nullptr_t>);

}  // namespace

TEST_CASE("buffer: a buffer_view covers the whole object it was made from", "[buffer]") {
    std::array<char, 16> array{};
    char plain[7];
    std::string text(5, 'x');
    std::vector<unsigned char> vector(9);
    std::vector<std::byte> bytes(3);
    CHECK(writable(array).data() == array.data());
    CHECK(writable(array).size() == 16);
    CHECK(writable(plain).size() == 7);
    CHECK(writable(text).data() == text.data());
    CHECK(writable(text).size() == 5);
    CHECK(static_cast<void*>(writable(vector).data()) == vector.data());
    CHECK(writable(vector).size() == 9);
    CHECK(writable(bytes).size() == 3);
    CHECK(writable(std::span<char>(plain).subspan(2)).data() == plain + 2);
    CHECK(writable(std::as_writable_bytes(std::span(plain))).size() == 7);
    CHECK(buffer_view(static_cast<void*>(plain), 4).size() == 4);
    CHECK(buffer_view().empty());
}

TEST_CASE("buffer: a literal is written without its final NUL, with inner ones", "[buffer]") {
    CHECK(written("hello\nworld\n") == "hello\nworld\n");
    CHECK(written("") == "");
    CHECK(readable("a\0b").size() == 3);
    const char unterminated[3] = {'a', 'b', 'c'};
    CHECK(readable(unterminated).size() == 3);
    const char* pointer = "c string";
    CHECK(written(pointer) == "c string");
}

TEST_CASE("buffer: a plain array that is not a literal is written whole", "[buffer]") {
    char array[4] = {'a', 'b', 0, 0};
    CHECK(readable(array).size() == 4);
    const unsigned char bytes[2] = {1, 0};
    CHECK(readable(bytes).size() == 2);
    CHECK(readable(std::array<char, 3>{'a', 'b', 0}).size() == 3);
}

TEST_CASE("buffer: temporaries live as long as the write's expression", "[buffer]") {
    CHECK(written(std::string("temporary")) == "temporary");
    CHECK(written(std::string("one") + "two") == "onetwo");
    CHECK(readable(std::vector<std::byte>(11)).size() == 11);
}

TEST_CASE("buffer: first and without_first split", "[buffer]") {
    char text[] = {'a', 'b', 'c', 'd'};
    const buffer_view all(text);
    CHECK(all.first(1).size() == 1);
    CHECK(all.without_first(3).data() == text + 3);
    CHECK(all.without_first(4).empty());
    const const_buffer same = all;
    CHECK(same.first(2).text() == "ab");
    CHECK(same.without_first(2).text() == "cd");
}

TEST_CASE("buffer: only the end of the stream is a false chunk", "[buffer]") {
    char text[4] = {};
    CHECK_FALSE(chunk());
    CHECK(chunk(text, 3));
    CHECK(chunk(text, 0));                 // an empty datagram
    CHECK(chunk(buffer_view(nullptr, 0)));  // even with a null buffer
    CHECK(chunk(buffer_view()).empty());
    CHECK(chunk().size() == 0);
    CHECK(chunk().text() == "");
}

TEST_CASE("buffer: a chunk's text is changed in place and can be written", "[buffer]") {
    std::array<char, 8> buffer = {'s', 'h', 'o', 'u', 't', '!', '.', '.'};
    const chunk filled(buffer.data(), 6);
    for (char& c : filled.text())
        c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    CHECK(filled.text() == "SHOUT!");
    CHECK("SHOUT!" == filled.text());
    CHECK(filled.text() != "SHOUT");
    CHECK(buffer[0] == 'S');
    CHECK(written(filled) == "SHOUT!");
    const std::string_view view = filled.text();
    CHECK(view.size() == 6);
    CHECK(std::string(filled.text()) == "SHOUT!");
    CHECK(filled.bytes().size() == 6);
    CHECK(static_cast<void*>(filled.bytes().data()) == buffer.data());
    CHECK(std::string(filled.begin(), filled.end()) == "SHOUT!");
}
