// SPDX-License-Identifier: MIT
// The part of the static file server that needs no socket and no file: requests in, heads of
// answers out.
//
// The parser is written by hand: a server that only hands out files needs the request line and four
// fields, and refuses everything else with a status code. Those codes are values, not exceptions,
// since a bad request is nothing unusual for a server. One rule keeps requests apart on a
// connection that stays open: a client that is refused, or that sends a body with a GET, is
// answered and disconnected. So bytes that were not understood are never taken for the next
// request.
#pragma once

#include <cstddef>
#include <cstdint>
#include <ctime>
#include <optional>
#include <string>
#include <string_view>

namespace file_server {

/// Reads the head of one request, in pieces of any size.
class request_parser {
public:
    static constexpr std::size_t head_bytes_max = std::size_t{16} * 1024;
    static constexpr std::size_t fields_max = 128;

    /// Takes the bytes that belong to this request.
    /// Returns: their number; the rest belongs to the next request.
    std::size_t feed(std::string_view bytes);

    /// True when the request is complete or has been refused.
    bool done() const noexcept { return done_; }
    /// True once a byte has come: a connection that ends before that has ended well.
    bool started() const noexcept { return bytes_ > 0; }

    // The functions below need done().
    /// 200, or the status to refuse the request with: 400, 405, 431, 505.
    int status() const noexcept { return status_; }
    /// True for HEAD: the answer has a head only.
    bool is_head() const noexcept { return is_head_; }
    /// As the client sent it, query included.
    const std::string& target() const noexcept { return target_; }
    bool keep_alive() const noexcept { return keep_alive_; }

private:
    void refuse(int status);
    void take_line(std::string_view line);
    void take_request_line(std::string_view line);
    void take_field(std::string_view line);
    void take_connection(std::string_view value);
    void end_head();

    std::string line_;  // what has come of the current line
    std::string target_;
    std::size_t bytes_ = 0;
    std::size_t fields_ = 0;
    std::size_t hosts_ = 0;
    std::size_t lengths_ = 0;
    int status_ = 200;
    bool has_request_line_ = false;
    bool is_head_ = false;
    bool is_http_1_0_ = false;
    bool asks_close_ = false;
    bool asks_keep_alive_ = false;
    bool keep_alive_ = false;
    bool done_ = false;
};

/// The file that a target means, as a path below the root without a leading '/'; "index.html" is
/// added to a folder.
/// Returns: nothing if there can be no such file: malformed escapes, control characters, a slash in
///          disguise, and each segment that starts with a dot, which rules out ".." and hides
///          ".git". Links below the root are a matter of how the file is opened.
std::optional<std::string> path_below_root(std::string_view target);

/// By the extension; "application/octet-stream" for what is not in the table.
std::string_view content_type(std::string_view path);

/// "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110, section 5.6.7).
std::string http_date(std::time_t when);

struct response_head {
    int status = 200;
    std::uint64_t content_length = 0;
    std::string_view content_type = "application/octet-stream";
    std::string_view date = {};  // from http_date(); left out if empty
    bool keep_alive = false;
};

/// The bytes before the body, with the empty line.
std::string head_text(const response_head& head);

/// A whole answer that says why there is no file; without its body for HEAD.
std::string error_text(int status, bool is_head, bool keep_alive, std::string_view date = {});

}  // namespace file_server
