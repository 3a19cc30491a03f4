// SPDX-License-Identifier: MIT
// URLs: taking them apart, and what may be in a host name.
#include "url.hpp"

#include <algorithm>
#include <charconv>

#include <arpa/inet.h>
#include <fmt/core.h>

#include "names.hpp"

namespace downloader {

namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool is_host_character(char c) {
    return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'z') || c == '-' || c == '.' || c == '_';
}

bool is_control_or_space(char c) { return static_cast<unsigned char>(c) <= 0x20 || c == 0x7f; }

bool is_ip(int family, const std::string& host) {
    unsigned char address[sizeof(in6_addr)];
    return inet_pton(family, host.c_str(), address) == 1;
}

// getaddrinfo takes "0x7f.1", "017700000001" and "2130706433" for 127.0.0.1. A host whose last
// label is a number is an address, and then only the usual form is meant.
bool looks_like_ipv4(std::string_view host) {
    if (!host.empty() && host.back() == '.') host.remove_suffix(1);
    const std::string_view label = host.substr(host.rfind('.') + 1);
    if (label.substr(0, 2) == "0x" || label.substr(0, 2) == "0X") return true;
    return !label.empty() && std::all_of(label.begin(), label.end(), is_digit);
}

std::uint16_t parse_port(std::string_view text) {
    if (text.empty()) return 80;
    std::uint16_t port = 0;
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, port);
    if (error != std::errc() || stop != end || port == 0)
        throw http_error(fmt::format("\"{}\" is not a port (1 to 65535)", printable(text)));
    return port;
}

std::string encoded_target(std::string_view text) {
    std::string target;
    if (text.empty() || text.front() != '/') target = '/';
    for (const char c : text) {
        if (is_visible_ascii(c) &&
            std::string_view("\"<>\\^`{|}").find(c) == std::string_view::npos)
            target += c;
        else
            target += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
    return target;
}

void check_scheme(std::string_view text, std::size_t end) {
    const std::string_view scheme = text.substr(0, end);
    if (end == std::string_view::npos) throw http_error("a URL starts with http://");
    if (same_word(scheme, "https")) throw http_error("https is not supported yet: only http is");
    if (!same_word(scheme, "http"))
        throw http_error(fmt::format("{} is not supported: only http is", printable(scheme, 40)));
}

}  // namespace

bool same_word(std::string_view a, std::string_view b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](char x, char y) { return lower(x) == lower(y); });
}

void check_host(const std::string& host) {
    if (host.empty()) throw http_error("the URL names no host");
    if (host.find(':') != std::string::npos) {
        if (!is_ip(AF_INET6, host))
            throw http_error(fmt::format("\"{}\" is not an IPv6 address", printable(host)));
        return;
    }
    if (host.size() > 253) throw http_error("the host name is longer than 253 characters");
    if (!std::all_of(host.begin(), host.end(), is_host_character))
        throw http_error(fmt::format("\"{}\" is not a host name", printable(host)));
    if (looks_like_ipv4(host) && !is_ip(AF_INET, host))
        throw http_error(fmt::format("\"{}\" is not an IPv4 address", printable(host)));
}

url::url(std::string_view text) {
    const auto control = std::find_if(text.begin(), text.end(), is_control_or_space);
    if (control != text.end())
        throw http_error(fmt::format("the URL contains a {} at position {}",
                                     *control == ' ' ? "space" : "control character",
                                     control - text.begin() + 1));
    const auto colon = text.find("://");
    check_scheme(text, colon);

    std::string_view rest = text.substr(colon + 3);
    rest = rest.substr(0, rest.find('#'));
    std::string_view where = rest.substr(0, rest.find_first_of("/?"));
    target = encoded_target(rest.substr(where.size()));

    // The error shows nothing of the URL: what comes before the @ is a password.
    if (where.find('@') != std::string_view::npos)
        throw http_error("a user name or password in the URL is not supported");
    std::string_view name = where;
    if (!where.empty() && where.front() == '[') {
        const auto end = where.find(']');
        name = where.substr(1, end == std::string_view::npos ? end : end - 1);
        where.remove_prefix(end == std::string_view::npos ? where.size() : end + 1);
        if (end == std::string_view::npos || name.find(':') == std::string_view::npos)
            throw http_error(fmt::format("\"[{}]\" is not an IPv6 address", printable(name)));
        if (!where.empty() && where.front() != ':')
            throw http_error("only a port may follow the bracket of an IPv6 address");
    } else {
        name = where.substr(0, where.find(':'));
        where.remove_prefix(name.size());
    }
    port = parse_port(where.empty() ? where : where.substr(1));
    host = name;
    check_host(host);
}

std::string url::authority() const {
    const bool is_ipv6 = host.find(':') != std::string::npos;
    std::string result = is_ipv6 ? "[" + host + "]" : host;
    if (port != 80) result += fmt::format(":{}", port);
    return result;
}

}  // namespace downloader
