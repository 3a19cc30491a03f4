// SPDX-License-Identifier: MIT
// The server's file, as the head of a response describes it, and what a response is worth to a
// download that has some of the bytes already.
//
// Bytes of two responses may be put together only if both are of the same file. A strong ETag shows
// that. Last-Modified does if it was not sent in the second in which the file changed (RFC 9110,
// section 8.8.2.2). Nothing else does: without either, a download cannot be resumed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <rondo/http/fields.hpp>

#include "segments.hpp"

namespace downloader {

/// The server's file.
struct remote_file {
    remote_file() = default;

    /// The value of If-Range; empty if nothing identifies the file.
    const std::string& validator() const { return etag.empty() ? modified : etag; }

    std::optional<std::uint64_t> length;
    std::string etag;      ///< a strong one, or empty
    std::string modified;  ///< Last-Modified, if it identifies the file, or empty
    std::string date;      ///< Last-Modified, whatever it is worth
    bool takes_ranges = false;
};

/// The head of a response.
struct response_head {
    int status = 0;
    const rondo::http::fields& headers;
    std::optional<std::uint64_t> content_length;
};

/// The file that a response of status 200 or 206 describes. An ETag, or a date that has more than
/// 200 bytes, is ignored.
remote_file describe(const response_head& head);

/// True if both are known to be one file: of the same length, and with an equal validator.
bool is_same(const remote_file& a, const remote_file& b);

/// Kinds of responses to a request for a range, or for all.
enum class answer : unsigned char {
    whole,  ///< the file from its first byte on
    part,   ///< the bytes that were asked for, from the first on, or some of them
    none,   ///< no such bytes: the file is shorter than it was
    error,  ///< no file: an error's page, or a status that says nothing about it
};

/// The bytes to ask for if all are wanted: without a range.
inline constexpr byte_range all_bytes{0, segments::unknown};

/// The end of the bytes that a response has, as far as it says so.
std::uint64_t end_of(const response_head& head);

answer judge(const response_head& head, const byte_range& wanted);

}  // namespace downloader
