// SPDX-License-Identifier: MIT
// Text from outside: made safe for a terminal, read as numbers, quoted for a shell.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace downloader {

/// One code point of a UTF-8 text and its size in bytes; not `valid`: one byte that is no UTF-8.
struct code_point {
    char32_t value = 0;
    std::size_t size = 1;
    bool valid = false;
};

/// The first code point of `text`, which is not empty. Overlong forms and surrogates are not valid.
code_point first_code_point(std::string_view text);

/// True for control characters of ASCII and Latin-1, and for those that reverse the direction of
/// text, which would show "gpj.exe" as "exe.jpg".
bool is_unsafe(char32_t c);

/// `text` with unsafe characters and bytes that are not UTF-8 replaced by '?', so that it can be
/// written to a terminal; cut after `bytes_max` bytes.
std::string printable(std::string_view text, std::size_t bytes_max = std::string_view::npos);

/// `text` as one word of a shell.
std::string shell_word(std::string_view text);

/// `text` without the user and the password of a URL; also if it is no URL.
std::string without_password(std::string_view text);

/// A number from `least` to `most`, in decimal digits and nothing else.
std::optional<std::uint64_t> parse_number(std::string_view text, std::uint64_t least,
                                          std::uint64_t most);
/// A number of bytes: "1500", "64K", "1.5M", "2GiB"; units are powers of 1024.
std::optional<std::uint64_t> parse_size(std::string_view text);
/// Seconds, "30" or "0.5", or with a unit: "250ms", "30s", "5m".
/// Returns: nothing above 100 days.
std::optional<std::chrono::milliseconds> parse_seconds(std::string_view text);

/// 64 hexadecimal digits, in lower case.
std::optional<std::string> parse_sha256(std::string_view text);

}  // namespace downloader
