// SPDX-License-Identifier: MIT
#include "http/url_parser.hpp"

#include <algorithm>
#include <charconv>

#include <arpa/inet.h>

#include "http/ascii.hpp"
#include "http/idna.hpp"

namespace rondo {
inline namespace v0 {
namespace http {

namespace {

using namespace ascii;

constexpr ascii::set host_characters("-._");
constexpr ascii::set zone_characters("-._~");
constexpr ascii::set user_characters("-._~!$&'()*+,;=%");
constexpr ascii::set password_characters("-._~!$&'()*+,;=:%");
constexpr ascii::set path_characters("-._~!$&'()*+,;=:@/%");
constexpr ascii::set query_characters("-._~!$&'()*+,;=:@/%?");
constexpr std::size_t zone_bytes_max = 32;

/// The position of the first of `ends` in `text`, or the size of it. The function of
/// std::string_view calls another one for each character.
std::size_t first_of(std::string_view text, std::string_view ends) noexcept {
    const auto* const found = std::find_if(text.begin(), text.end(), [&](char c) {
        return std::find(ends.begin(), ends.end(), c) != ends.end();
    });
    return static_cast<std::size_t>(found - text.begin());
}

void append_encoded(std::string& to, std::string_view text, const ascii::set& allowed) {
    if (std::all_of(text.begin(), text.end(), [&](char c) { return allowed.has(c); })) {
        to += text;
        return;
    }
    for (const char c : text) {
        if (allowed.has(c)) {
            to += c;
            continue;
        }
        const auto byte = static_cast<unsigned char>(c);
        to += {'%', hex_digits[byte >> 4], hex_digits[byte & 15]};
    }
}

void check_bytes(std::string_view text) {
    if (text.size() > url::size_max) throw url_error("the URL is longer than 64 KiB");
    const auto bad = std::find_if(text.begin(), text.end(),
                                  [](char c) { return c == ' ' || c == '\\' || is_control(c); });
    if (bad == text.end()) return;
    const char* what = *bad == ' '    ? "a space"
                       : *bad == '\\' ? "a backslash"
                                      : "a control character";
    throw url_error("the URL contains " + std::string(what) + " at position " +
                    std::to_string(bad - text.begin() + 1));
}

// getaddrinfo takes "0x7f.1", "017700000001" and "2130706433" for 127.0.0.1. A host whose last
// label is a number is an address, and then only the usual form is meant.
bool looks_like_ipv4(std::string_view host) {
    if (!host.empty() && host.back() == '.') host.remove_suffix(1);
    const std::string_view label = host.substr(host.rfind('.') + 1);
    if (label.substr(0, 2) == "0x") return true;
    return !label.empty() && std::all_of(label.begin(), label.end(), is_digit);
}

bool has_good_labels(std::string_view name) {
    if (!name.empty() && name.back() == '.') name.remove_suffix(1);
    while (true) {
        const std::string_view label = name.substr(0, name.find('.'));
        if (label.empty() || label.size() > 63) return false;
        if (label.size() == name.size()) return true;
        name.remove_prefix(label.size() + 1);
    }
}

[[noreturn]] void refuse_host(std::string_view host, const char* what) {
    throw url_error('"' + printable(host) + "\" is not " + what);
}

}  // namespace

std::string_view scheme_of(std::string_view text) noexcept {
    std::size_t size = 0;
    while (size < text.size() &&
           (is_alpha(text[size]) || (size > 0 && (is_digit(text[size]) || text[size] == '+' ||
                                                  text[size] == '-' || text[size] == '.'))))
        ++size;
    return size > 0 && size < text.size() && text[size] == ':' ? text.substr(0, size)
                                                               : std::string_view();
}

std::uint16_t default_port(std::string_view scheme) noexcept {
    if (scheme == "http" || scheme == "ws") return 80;
    if (scheme == "https" || scheme == "wss") return 443;
    if (scheme == "socks5" || scheme == "socks5h") return 1080;
    return 0;
}

void url_parser::parse(std::string_view text) {
    check_bytes(text);
    made_.text_.reserve(text.size() + 1);
    std::string_view rest = take_scheme(text);
    const bool has_host = default_port(made_.scheme()) != 0;
    made_.port_ = default_port(made_.scheme());
    made_.user_begin_ = made_.user_end_ = made_.at_ = here();
    made_.host_begin_ = made_.host_end_ = made_.zone_begin_ = made_.zone_end_ = here();
    if (made_.is_unix()) {
        rest = take_unix(rest);
    } else if (rest.substr(0, 2) == "//") {
        rest = take_authority(rest.substr(2));
    } else if (!rest.empty() && is_digit(rest.front())) {
        throw url_error("the URL has no scheme: it begins with http:// or https://");
    }
    if (has_host && made_.kind_ == host_kind::none) throw url_error("the URL names no host");
    take_rest(rest);
    if (made_.text_.size() > url::size_max) throw url_error("the URL is longer than 64 KiB");
}

std::string_view url_parser::take_scheme(std::string_view text) {
    const std::string_view scheme = scheme_of(text);
    if (scheme.empty())
        throw url_error("the URL has no scheme: it begins with http:// or https://");
    for (const char c : scheme) made_.text_ += lower(c);
    made_.scheme_end_ = here();
    made_.text_ += ':';
    return text.substr(scheme.size() + 1);
}

// "unix:/run/app.sock:/target"; also "unix:///run/app.sock", as other programs write it.
std::string_view url_parser::take_unix(std::string_view rest) {
    if (rest.substr(0, 3) == "///") rest.remove_prefix(2);
    const std::string_view path = rest.substr(0, first_of(rest, ":?#"));
    rest.remove_prefix(path.size());
    if (path.empty() || (path.front() != '/' && path.front() != '@') || path.substr(0, 2) == "//")
        throw url_error("a URL of a Unix socket is unix:PATH:TARGET, and its path begins with /");
    const auto decoded = percent_decode(path);
    if (!decoded || decoded->find('\0') != std::string::npos)
        throw url_error("the path of the Unix socket is not percent-encoded properly");
    append_encoded(made_.text_, path, path_characters);
    made_.host_end_ = here();
    made_.text_ += ':';
    return rest.substr(!rest.empty() && rest.front() == ':' ? 1 : 0);
}

std::string_view url_parser::take_authority(std::string_view rest) {
    std::string_view where = rest.substr(0, first_of(rest, "/?#"));
    rest.remove_prefix(where.size());
    made_.text_ += "//";
    made_.user_begin_ = made_.user_end_ = made_.at_ = here();
    if (const auto at = where.find('@'); at != std::string_view::npos) {
        // Which of two '@' ends the password is read differently by different programs.
        if (where.find('@', at + 1) != std::string_view::npos)
            throw url_error("the URL has two @ before its path: write %40 in user and password");
        take_user(where.substr(0, at));
        where.remove_prefix(at + 1);
    }
    made_.host_begin_ = made_.host_end_ = here();
    where = take_host(where);
    if (!where.empty()) take_port(where.substr(1));
    return rest;
}

void url_parser::take_user(std::string_view user) {
    const auto colon = std::min(user.find(':'), user.size());
    append_encoded(made_.text_, user.substr(0, colon), user_characters);
    made_.user_end_ = made_.at_ = here();
    if (colon + 1 < user.size()) {
        made_.text_ += ':';
        append_encoded(made_.text_, user.substr(colon + 1), password_characters);
    }
    made_.at_ = here();
    if (made_.at_ > made_.user_begin_) made_.text_ += '@';
}

std::string_view url_parser::take_host(std::string_view where) {
    if (!where.empty() && where.front() == '[') {
        const auto end = where.find(']');
        if (end == std::string_view::npos)
            throw url_error("the bracket of an IPv6 address is not closed");
        take_address(where.substr(1, end - 1));
        where.remove_prefix(end + 1);
        if (!where.empty() && where.front() != ':')
            throw url_error("only a port may follow the bracket of an IPv6 address");
        return where;
    }
    const std::string_view name = where.substr(0, where.find(':'));
    where.remove_prefix(name.size());
    if (name.empty()) {
        if (!where.empty()) throw url_error("the URL names no host");
        return where;
    }
    take_name(name);
    return where;
}

void url_parser::take_address(std::string_view literal) {
    const auto percent = literal.find('%');
    const std::string address(literal.substr(0, percent));
    in6_addr bytes;
    char text[INET6_ADDRSTRLEN];
    if (inet_pton(AF_INET6, address.c_str(), &bytes) != 1 ||
        inet_ntop(AF_INET6, &bytes, text, sizeof text) == nullptr)
        refuse_host(literal, "an IPv6 address");
    made_.text_ += '[';
    made_.host_begin_ = here();
    made_.text_ += text;
    made_.host_end_ = made_.zone_begin_ = made_.zone_end_ = here();
    made_.kind_ = host_kind::ipv6;
    if (percent != std::string_view::npos) {
        // RFC 6874 writes "%25eth0"; people write "%eth0".
        std::string_view zone = literal.substr(percent + 1);
        if (zone.substr(0, 2) == "25") zone.remove_prefix(2);
        if (zone.empty() || zone.size() > zone_bytes_max ||
            !std::all_of(zone.begin(), zone.end(), [](char c) { return zone_characters.has(c); }))
            refuse_host(literal, "an IPv6 address with the name of an interface");
        made_.text_ += "%25";
        made_.zone_begin_ = here();
        made_.text_ += zone;
        made_.zone_end_ = here();
    }
    made_.text_ += ']';
}

void url_parser::take_name(std::string_view name) {
    std::string host(name);
    if (std::any_of(host.begin(), host.end(), [](char c) { return c < 0; }))
        host = host_to_ascii(name);
    std::transform(host.begin(), host.end(), host.begin(), lower);
    if (host.size() > 253) throw url_error("the host name is longer than 253 characters");
    if (!std::all_of(host.begin(), host.end(), [](char c) { return host_characters.has(c); }) ||
        !has_good_labels(host))
        refuse_host(host, "a host name");
    in_addr bytes;
    made_.kind_ = host_kind::name;
    if (looks_like_ipv4(host)) {
        if (inet_pton(AF_INET, host.c_str(), &bytes) != 1) refuse_host(host, "an IPv4 address");
        made_.kind_ = host_kind::ipv4;
    }
    made_.text_ += host;
    made_.host_end_ = made_.zone_begin_ = made_.zone_end_ = here();
}

// The message shows nothing of the text: of "http://user:pass/word@host/" it is a password.
void url_parser::take_port(std::string_view text) {
    if (text.empty()) return;
    std::uint16_t port = 0;
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, port);
    if (error != std::errc() || stop != end || port == 0)
        throw url_error("the port of the URL is not a number from 1 to 65535");
    made_.port_ = port;
    if (port != default_port(made_.scheme())) made_.text_ += ':' + std::to_string(port);
}

void url_parser::take_rest(std::string_view rest) {
    made_.path_begin_ = here();
    const auto path_end = first_of(rest, "?#");
    append_encoded(made_.text_, rest.substr(0, path_end), path_characters);
    if (path_end == 0 && (default_port(made_.scheme()) != 0 || made_.is_unix())) made_.text_ += '/';
    if (made_.is_unix() && made_.text_[made_.path_begin_] != '/')
        throw url_error("the target behind the path of a Unix socket begins with /");
    made_.path_end_ = here();
    rest.remove_prefix(path_end);

    const auto query_end = std::min(rest.find('#'), rest.size());
    if (query_end > 0) made_.text_ += '?';
    if (query_end > 0) append_encoded(made_.text_, rest.substr(1, query_end - 1), query_characters);
    made_.query_end_ = here();
    rest.remove_prefix(query_end);
    if (rest.empty()) return;
    made_.text_ += '#';
    append_encoded(made_.text_, rest.substr(1), query_characters);
}

}  // namespace http
}  // namespace v0
}  // namespace rondo
