// SPDX-License-Identifier: MIT
// Parsing the URL of a Redis server. Errors do not repeat the text: it may contain a password.
#include "redis/url.hpp"

#include <charconv>
#include <optional>

#include <rondo/redis/error.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

[[noreturn]] void throw_bad(const char* why) {
    throw redis::url_error(std::string("the URL of a Redis server: ") + why);
}

template <class N>
std::optional<N> number_of(std::string_view digits) {
    N number = 0;
    const char* const end = digits.data() + digits.size();
    const auto read = std::from_chars(digits.data(), end, number);
    if (digits.empty() || read.ec != std::errc() || read.ptr != end) return std::nullopt;
    return number;
}

int hex_digit(char c) noexcept {
    if ('0' <= c && c <= '9') return c - '0';
    if ('a' <= c && c <= 'f') return c - 'a' + 10;
    if ('A' <= c && c <= 'F') return c - 'A' + 10;
    return -1;
}

std::string decoded(std::string_view text) {
    std::string all;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            all += text[i];
            continue;
        }
        const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
        const int low = high >= 0 ? hex_digit(text[i + 2]) : -1;
        if (low < 0) throw_bad("a % is followed by two hexadecimal digits");
        all += static_cast<char>(high * 16 + low);
        i += 2;
    }
    return all;
}

/// Takes the beginning of `text` up to `end`, which is removed too; all of it if there is none.
std::string_view taken(std::string_view& text, char end) {
    const std::size_t at = text.find(end);
    const std::string_view before = text.substr(0, at);
    text.remove_prefix(at == std::string_view::npos ? text.size() : at + 1);
    return before;
}

bool is_in_host(char c) noexcept {
    return ('a' <= c && c <= 'z') || ('A' <= c && c <= 'Z') || ('0' <= c && c <= '9') ||
           c == '-' || c == '.' || c == '_';
}

}  // namespace

redis_url::redis_url(std::string_view text) {
    const std::size_t colon = text.find("://");
    const std::string_view scheme = text.substr(0, colon == std::string_view::npos ? 0 : colon);
    const bool is_local = scheme == "unix" || scheme == "redis+unix" || scheme == "redis+socket";
    is_secure_ = scheme == "rediss";
    if (!is_local && !is_secure_ && scheme != "redis")
        throw_bad("it begins with redis://, rediss:// or unix://");
    text.remove_prefix(colon + 3);
    const std::string_view query =
        text.find('?') == std::string_view::npos ? "" : text.substr(text.find('?') + 1);
    text = text.substr(0, text.find('?'));

    const std::string_view host = text.substr(0, text.find('/'));
    const std::size_t at = host.rfind('@');
    if (at != std::string_view::npos) {
        read_user(text.substr(0, at));
        text.remove_prefix(at + 1);
    }
    if (is_local) {
        path_ = decoded(text);
        if (path_.size() < 2 || path_[0] != '/')
            throw_bad("after unix:// comes the whole path of a socket: unix:///run/redis.sock");
        server_ = "unix:" + path_;
    } else {
        read_host(taken(text, '/'));
        if (!text.empty()) read_database(text);
    }
    read_query(query);
    name_ = is_local ? server_ : server_ + "/" + std::to_string(database_);
}

void redis_url::read_user(std::string_view text) {
    user_ = decoded(taken(text, ':'));
    password_ = decoded(text);
}

void redis_url::read_host(std::string_view text) {
    const bool is_bracketed = text.starts_with('[');
    if (is_bracketed) {
        text.remove_prefix(1);
        if (text.find(']') == std::string_view::npos) throw_bad("a ] is missing after the host");
        host_ = decoded(taken(text, ']'));
        if (!text.empty() && text[0] != ':') throw_bad("after ] comes a port");
    } else if (const std::string_view host = text.substr(0, text.find(':')); !host.empty()) {
        for (const char c : host)
            if (!is_in_host(c)) throw_bad("the host contains a character that no host has");
        host_ = host;
        text.remove_prefix(host.size());
    }
    server_ = is_bracketed ? '[' + host_ + ']' : host_;
    if (text.starts_with(':')) {
        const auto port = number_of<std::uint16_t>(text.substr(1));
        if (!port || *port == 0) throw_bad("a port is a number from 1 to 65535");
        port_ = *port;
    }
    server_ += ':' + std::to_string(port_);
}

void redis_url::read_database(std::string_view text) {
    const auto number = number_of<unsigned>(text);
    if (!number) throw_bad("a database is a number: redis://localhost/0");
    database_ = *number;
}

void redis_url::read_query(std::string_view text) {
    while (!text.empty()) {
        std::string_view value = taken(text, '&');
        if (taken(value, '=') != "db") throw_bad("after the ? only db= is known");
        read_database(value);
    }
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
