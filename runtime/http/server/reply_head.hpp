// SPDX-License-Identifier: MIT
// Heads of replies.
#pragma once

#include <string>
#include <string_view>

#include <rondo/http/reply.hpp>

#include "http/h1/encoder.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

/// The part of a head that is about the connection.
struct http_reply_frame {
    http::h1::body_length body;
    bool keep_alive;
    bool is_http_1_0;
    std::string_view date_line;
};

/// Appends the head. Fields that decide about framing and the connection are the server's.
void write_reply_head(std::string& to, const http::reply& from, const http_reply_frame& frame);

/// Adds what the server says of a reply to its own fields, for a version of HTTP whose heads are
/// fields alone. Fields about the connection are left to the encoder.
void complete_reply_fields(http::reply& reply, http::h1::body_length body, std::string_view date);

}  // namespace detail
}  // namespace v0
}  // namespace rondo
