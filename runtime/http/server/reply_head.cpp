// SPDX-License-Identifier: MIT
#include "http/server/reply_head.hpp"

#include <charconv>

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

void append_number(std::string& to, std::uint64_t number) {
    char digits[20];
    to.append(digits, std::to_chars(digits, digits + sizeof digits, number).ptr);
}

void append_status_line(std::string& to, int status) {
    if (status == 200) {
        to += "HTTP/1.1 200 OK\r\n";
        return;
    }
    to += "HTTP/1.1 ";
    append_number(to, static_cast<std::uint64_t>(status));
    ((to += ' ') += http::h1::reason_phrase(status)) += "\r\n";
}

void append_line(std::string& to, std::string_view name, std::string_view value) {
    (((to += name) += ": ") += value) += "\r\n";
}

bool is_servers(std::string_view name) {
    switch (name.size()) {
        case 10:
            return http::same_word(name, "connection") || http::same_word(name, "keep-alive");
        case 14:
            return http::same_word(name, "content-length");
        case 17:
            return http::same_word(name, "transfer-encoding");
        default:
            return false;
    }
}

}  // namespace

void write_reply_head(std::string& to, const http::reply& from, const http_reply_frame& frame) {
    append_status_line(to, from.status());
    bool has_date = false;
    for (const auto& [name, value] : from.headers()) {
        if (is_servers(name)) continue;
        has_date = has_date || http::same_word(name, "date");
        append_line(to, name, value);
    }
    if (!has_date) to += frame.date_line;
    if (const std::string_view type = from.static_type(); !type.empty())
        append_line(to, "content-type", type);
    if (frame.body.kind() == http::h1::framing::length) {
        to += "content-length: ";
        append_number(to, frame.body.bytes());
        to += "\r\n";
    } else if (frame.body.kind() == http::h1::framing::chunked) {
        to += "transfer-encoding: chunked\r\n";
    }
    if (!frame.keep_alive)
        to += "connection: close\r\n";
    else if (frame.is_http_1_0)
        to += "connection: keep-alive\r\n";
    to += "\r\n";
}

void complete_reply_fields(http::reply& reply, http::h1::body_length body, std::string_view date) {
    http::fields& fields = reply.headers();
    const std::string_view type = reply.static_type();
    fields.erase("content-length");
    if (!fields.contains("date")) fields.add("date", date);
    if (!type.empty()) fields.add("content-type", type);
    if (body.kind() != http::h1::framing::length) return;
    std::string digits;
    append_number(digits, body.bytes());
    fields.add("content-length", digits);
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
