// SPDX-License-Identifier: MIT
// Replies, and the writer of a streamed body.
#include <rondo/http/reply.hpp>

#include <string>

#include "http/ascii.hpp"
#include "http/h1/encoder.hpp"
#include "http/server/exchange.hpp"
#include "http/server/reply_source.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

void reply_source_deleter::operator()(reply_source* source) const noexcept { delete source; }

}  // namespace detail

namespace http {

namespace {

constexpr std::string_view text_type = "text/plain; charset=utf-8";

void check_status(int status) {
    if (status < 200 || status > 999)
        throw error("a reply's status is a number from 200 to 999, not " + std::to_string(status));
}

bool has_body(int status) { return status != 204 && status != 304; }

/// The characters of a cookie's value (RFC 6265, section 4.1.1).
bool is_cookie_value(std::string_view text) {
    for (const char c : text)
        if (!ascii::is_visible(c) || c == '"' || c == ',' || c == ';' || c == '\\') return false;
    return true;
}

void check_attribute(std::string_view text) {
    if (!is_field_value(text) || text.find(';') != text.npos)
        throw error("an attribute of a cookie has a ';' or a control character");
}

}  // namespace

reply::reply(int status, std::string_view static_type, std::string body)
    : status_(status), type_(static_type), body_(std::move(body)) {
    check_status(status);
}

reply reply::text(std::string body, int status) { return {status, text_type, std::move(body)}; }
reply reply::html(std::string body, int status) {
    return {status, "text/html; charset=utf-8", std::move(body)};
}
reply reply::json_bytes(std::string text, int status) {
    return {status, "application/json", std::move(text)};
}
reply reply::bytes(std::string body, std::string_view content_type, int status) {
    return reply(status, {}, std::move(body)).header("content-type", content_type);
}

reply reply::status(int code) {
    if (!has_body(code)) return {code, {}, {}};
    std::string text(h1::reason_phrase(code));
    if (text.empty()) text = std::to_string(code);
    return {code, text_type, text += '\n'};
}

reply reply::redirect(std::string_view to, int status) {
    if (status != 301 && status != 302 && status != 303 && status != 307 && status != 308)
        throw error("the status of a redirect is 301, 302, 303, 307 or 308");
    return reply(status, {}, {}).header("location", to);
}

reply reply::of_source(
    std::unique_ptr<rondo::detail::reply_source, rondo::detail::reply_source_deleter> from,
    int status, std::string_view content_type) {
    reply made;
    made.status_ = status;  // 101 too, which no handler may say
    if (!content_type.empty()) made.header("content-type", content_type);
    made.source_ = std::move(from);
    return made;
}

reply reply::streamed(std::string_view content_type,
                      rondo::detail::function<task<>(body_writer&)> write) {
    std::unique_ptr<rondo::detail::reply_source, rondo::detail::reply_source_deleter> source(
        new rondo::detail::reply_source);
    source->write = std::move(write);
    return of_source(std::move(source), 200, content_type);
}

reply reply::file(std::string path, std::string_view content_type) {
    std::unique_ptr<rondo::detail::reply_source, rondo::detail::reply_source_deleter> source(
        new rondo::detail::reply_source);
    source->path = std::move(path);
    return of_source(std::move(source), 200, content_type);
}

reply& reply::header(std::string_view name, std::string_view value) & {
    headers_.set(name, value);
    return *this;
}

reply& reply::cookie(std::string_view name, std::string_view value, cookie_options options) & {
    if (!is_token(name) || !is_cookie_value(value))
        throw error("the cookie \"" + ascii::printable(name) +
                    "\" has a character that cookies cannot have: encode it");
    check_attribute(options.path);
    check_attribute(options.domain);
    check_attribute(options.same_site);
    std::string field(name);
    (field += '=') += value;
    const auto add = [&field](std::string_view attribute, std::string_view text) {
        if (!text.empty()) ((field += attribute) += text);
    };
    add("; Path=", options.path);
    add("; Domain=", options.domain);
    const duration age = options.max_age;
    if (age > duration::zero())
        add("; Max-Age=",
            std::to_string(std::chrono::duration_cast<std::chrono::seconds>(age).count()));
    if (options.secure) field += "; Secure";
    if (options.http_only) field += "; HttpOnly";
    add("; SameSite=", options.same_site);
    headers_.add("set-cookie", field);
    return *this;
}

reply& reply::forget_cookie(std::string_view name, std::string_view path) & {
    if (!is_token(name)) throw error("the name of a cookie is not a token");
    check_attribute(path);
    std::string field(name);
    ((field += "=; Path=") += path) += "; Max-Age=0";
    headers_.add("set-cookie", field);
    return *this;
}

reply& reply::set_status(int code) & {
    check_status(code);
    status_ = code;
    return *this;
}

reply& reply::length(std::uint64_t bytes) & {
    if (!source_ || !source_->write)
        throw error("length() is for a reply that is streamed: others know theirs");
    source_->length = bytes;
    return *this;
}

std::string_view reply::content_type() const noexcept {
    return headers_.get("content-type").value_or(type_);
}

rondo::detail::function<task<>(body_writer&)>* reply::writer() noexcept {
    return source_ && source_->write ? &source_->write : nullptr;
}

// -- the writer of a body ------------------------------------------------------------------------
task<> body_writer::write_all(const_buffer data) { return to_->write_body(data); }

fields& body_writer::trailers() noexcept { return to_->reply_trailers(); }

task<> body_writer::send(std::string_view data, event_options options) {
    for (const std::string_view name : {options.type, options.id})
        if (name.find_first_of(std::string_view("\r\n\0", 3)) != name.npos)
            throw error("the type or the id of an event has a line end or a NUL");
    std::string text;
    const auto line = [&text](std::string_view name, std::string_view value) {
        (((text += name) += ": ") += value) += '\n';
    };
    if (!options.type.empty()) line("event", options.type);
    if (!options.id.empty()) line("id", options.id);
    const duration retry = options.retry;
    if (retry > duration::zero())
        line("retry", std::to_string(
                          std::chrono::duration_cast<std::chrono::milliseconds>(retry).count()));
    while (true) {
        const std::size_t end = data.find_first_of("\r\n");
        line("data", data.substr(0, end));
        if (end == data.npos) break;
        const bool is_pair = data.substr(end, 2) == "\r\n";
        data.remove_prefix(end + (is_pair ? 2 : 1));
    }
    text += '\n';
    co_await write_all(text);
}

}  // namespace http
}  // namespace v0
}  // namespace rondo
