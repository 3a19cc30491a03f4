// SPDX-License-Identifier: MIT
// Heads and chunks that we send. Everything that could end a line is refused here at the latest.
#include "http/h1/encoder.hpp"

#include <algorithm>
#include <charconv>

#include "http/ascii.hpp"

namespace rondo {
inline namespace v0 {
namespace http {
namespace h1 {

namespace {

bool is_visible_text(std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), ascii::is_visible);
}

constexpr std::size_t usual_head = 400;  // of a request

void append_line(std::string& out, std::string_view name, std::string_view value) {
    ((((out += name) += ": ") += value) += "\r\n");
}

bool decides_framing(std::string_view name) {
    return same_word(name, "content-length") || same_word(name, "transfer-encoding");
}

void append_body_line(std::string& out, body_length body) {
    if (body.kind() == framing::chunked) out += "transfer-encoding: chunked\r\n";
    if (body.kind() != framing::length) return;
    char digits[20];
    const auto end = std::to_chars(digits, digits + sizeof digits, body.bytes()).ptr;
    append_line(out, "content-length", {digits, static_cast<std::size_t>(end - digits)});
}

}  // namespace

void write_request_head(std::string& out, std::string_view method, std::string_view target,
                        std::string_view host, const fields& headers, body_length body) {
    if (!is_token(method)) throw error("the method is not a token", method, "");
    if (!is_visible_text(target) || (!host.empty() && !is_visible_text(host)))
        throw error("the target or the host of a request has a space or a control character");
    if (out.empty()) out.reserve(usual_head);
    out += method;
    ((out += ' ') += target) += " HTTP/1.1\r\n";
    append_line(out, "host", host);
    for (const auto& [name, value] : headers)
        if (!decides_framing(name) && !same_word(name, "host")) append_line(out, name, value);
    append_body_line(out, body);
    out += "\r\n";
}

void write_response_head(std::string& out, int status, std::string_view reason,
                         const fields& headers, body_length body) {
    if (status < 100 || status > 999) throw error("the status is not a number of three digits");
    if (!is_field_value(reason)) throw error("the reason has a line end or a control character");
    out += "HTTP/1.1 ";
    out += std::to_string(status);
    (out += ' ') += reason.empty() ? reason_phrase(status) : reason;
    out += "\r\n";
    for (const auto& [name, value] : headers)
        if (!decides_framing(name)) append_line(out, name, value);
    append_body_line(out, body);
    out += "\r\n";
}

chunk_head::chunk_head(std::size_t size) noexcept : begin_(sizeof text_) {
    text_[--begin_] = '\n';
    text_[--begin_] = '\r';
    do {
        text_[--begin_] = ascii::hex_digits[size & 15];
        size >>= 4;
    } while (size > 0);
}

void write_last_chunk(std::string& out, const fields& trailers) {
    out += "0\r\n";
    for (const auto& [name, value] : trailers)
        if (!decides_framing(name)) append_line(out, name, value);
    out += "\r\n";
}

std::string_view reason_phrase(int status) noexcept {
    switch (status) {
        case 100:
            return "Continue";
        case 101:
            return "Switching Protocols";
        case 103:
            return "Early Hints";
        case 200:
            return "OK";
        case 201:
            return "Created";
        case 202:
            return "Accepted";
        case 204:
            return "No Content";
        case 205:
            return "Reset Content";
        case 206:
            return "Partial Content";
        case 300:
            return "Multiple Choices";
        case 301:
            return "Moved Permanently";
        case 302:
            return "Found";
        case 303:
            return "See Other";
        case 304:
            return "Not Modified";
        case 307:
            return "Temporary Redirect";
        case 308:
            return "Permanent Redirect";
        case 400:
            return "Bad Request";
        case 401:
            return "Unauthorized";
        case 402:
            return "Payment Required";
        case 403:
            return "Forbidden";
        case 404:
            return "Not Found";
        case 405:
            return "Method Not Allowed";
        case 406:
            return "Not Acceptable";
        case 407:
            return "Proxy Authentication Required";
        case 408:
            return "Request Timeout";
        case 409:
            return "Conflict";
        case 410:
            return "Gone";
        case 411:
            return "Length Required";
        case 412:
            return "Precondition Failed";
        case 413:
            return "Content Too Large";
        case 414:
            return "URI Too Long";
        case 415:
            return "Unsupported Media Type";
        case 416:
            return "Range Not Satisfiable";
        case 417:
            return "Expectation Failed";
        case 421:
            return "Misdirected Request";
        case 422:
            return "Unprocessable Content";
        case 425:
            return "Too Early";
        case 426:
            return "Upgrade Required";
        case 428:
            return "Precondition Required";
        case 429:
            return "Too Many Requests";
        case 431:
            return "Request Header Fields Too Large";
        case 451:
            return "Unavailable For Legal Reasons";
        case 500:
            return "Internal Server Error";
        case 501:
            return "Not Implemented";
        case 502:
            return "Bad Gateway";
        case 503:
            return "Service Unavailable";
        case 504:
            return "Gateway Timeout";
        case 505:
            return "HTTP Version Not Supported";
        case 511:
            return "Network Authentication Required";
        default:
            return "";
    }
}

}  // namespace h1
}  // namespace http
}  // namespace v0
}  // namespace rondo
