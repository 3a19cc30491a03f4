// SPDX-License-Identifier: MIT
// Names from outside: the file name for a URL, and text that is safe for a terminal.
//
// A server or a list file decides the last segment of a URL, so it may be hostile: "%2e%2e", an
// encoded slash, a newline, an escape sequence or a dot file must become an ordinary name in the
// output folder. Names are repaired rather than refused, since the user wants the file and can
// rename it; every repair is an underscore. The name is built from allowed characters, never by
// deleting others: deleting can join the pieces of something bad. The caller must open the file
// below the folder without following links.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace downloader {

/// Leaves room for ".2" and ".part" below NAME_MAX, 255.
inline constexpr std::size_t name_bytes_max = 200;

/// One code point of a UTF-8 text and its size in bytes; not `valid`: one byte that is no UTF-8.
struct code_point {
    char32_t value = 0;
    std::size_t size = 1;
    bool valid = false;
};

/// The first code point of `text`, which is not empty. Overlong forms and surrogates are not valid.
code_point first_code_point(std::string_view text);

/// `text` with control characters, direction overrides and bytes that are not UTF-8 replaced by
/// '?', so that it can be written to a terminal; cut after `bytes_max` bytes.
std::string printable(std::string_view text, std::size_t bytes_max = std::string_view::npos);

/// The file name for a request target such as "/a/b%20c.iso?x=1": the last segment of its path,
/// percent-decoded once.
/// Returns: 1 to 200 bytes of valid UTF-8 without '/', '\' and control characters that start with
///          neither '.' nor '-' ('.' would hide the file, '-' makes it an option of the next
///          command); "index.html" for an empty segment. A name that is too long loses bytes before
///          its extension.
std::string file_name(std::string_view target);

/// Hands out file names such that no two are equal: the second "a.iso" becomes "a.iso.2".
class file_names {
public:
    std::string claim(std::string_view target);

private:
    std::unordered_map<std::string, std::size_t> taken_;  // name -> the last suffix given to it
};

/// The URLs of a list file: one a line, blank lines and lines that start with '#' skipped, CRLF and
/// a byte order mark tolerated. A '#' further on is part of the URL.
std::vector<std::string> parse_list(std::string_view text);

/// Reads and parses a list file; "-" is the standard input.
/// Throws: std::system_error with the path; std::runtime_error above 64 MiB.
std::vector<std::string> read_list_file(const std::string& path);

}  // namespace downloader
