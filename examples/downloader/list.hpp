// SPDX-License-Identifier: MIT
// The files to download, as the command line and list files name them.
//
//     # comments and blank lines are skipped
//     https://a.example/x.iso
//     https://a.example/y.iso|https://b.example/y.iso out=Y.iso sha256=9f86d081…
//       out=z.iso                  a line that begins with blanks belongs to the one before it
//
// The format is aria2's, and wget's as far as it goes.
#pragma once

#include <chrono>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <rondo/http/url.hpp>

namespace downloader {

/// How long a mirror has to answer until the next one is asked as well.
inline constexpr std::chrono::milliseconds mirror_delay{300};

/// One file: where it can be had, and what is known of it.
struct wanted_file {
    wanted_file() = default;

    std::vector<std::string> urls;         ///< mirrors of each other, the preferred one first
    std::vector<rondo::http::url> parsed;  ///< instead of `urls`, after make_jobs()
    std::string out;                       ///< its name; empty: the URL's
    std::string sha256;                    ///< 64 hexadecimal digits in lower case, or empty
};

/// A list that makes no sense; the text has the number of the line.
class list_error : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// "URL" or "URL|URL|…". A '|' that no http:// or https:// follows is part of the URL.
std::vector<std::string> split_mirrors(std::string_view text);

/// The files of a list. CRLF and a byte order mark are tolerated. A '#' inside of a line is part of
/// the URL.
/// Throws: list_error.
std::vector<wanted_file> parse_list(std::string_view text);

/// Reads and parses a list file; "-" is the standard input.
/// Throws: std::system_error with the path; list_error with the path, also above 64 MiB.
std::vector<wanted_file> read_list_file(const std::string& path);

}  // namespace downloader
