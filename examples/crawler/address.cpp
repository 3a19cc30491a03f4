// SPDX-License-Identifier: MIT
// Escapes, and the texts of hosts.
#include "address.hpp"

#include <algorithm>
#include <stdexcept>

#include <fmt/core.h>

namespace crawler {

namespace {

namespace http = rondo::http;

int value_of_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/// The byte of the escape that `text` begins with, or -1.
int escape_at(std::string_view text) {
    if (text.size() < 3 || text[0] != '%') return -1;
    const int high = value_of_digit(text[1]);
    const int low = value_of_digit(text[2]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

bool is_unreserved(int byte) {
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') || byte == '-' || byte == '.' || byte == '_' || byte == '~';
}

/// `text` without escapes that are not needed, and with the others in capitals.
std::string with_few_escapes(std::string_view text) {
    std::string result;
    result.reserve(text.size());
    for (; !text.empty(); text.remove_prefix(1)) {
        const int byte = escape_at(text);
        if (byte < 0) {
            result += text.front();
            continue;
        }
        if (is_unreserved(byte))
            result += static_cast<char>(byte);
        else
            result += fmt::format("%{:02X}", byte);
        text.remove_prefix(2);
    }
    return result;
}

/// The text of an attribute as a URL.
std::string cleaned(std::string_view link) {
    constexpr std::string_view control =
        "\1\2\3\4\5\6\7\10\11\12\13\14\15\16\17\20\21\22\23\24\25\26\27\30\31\32\33\34\35\36\37 ";
    const auto first = link.find_first_not_of(control);
    if (first == link.npos) return "";
    std::string result(link.substr(first, link.find_last_not_of(control) - first + 1));
    std::erase_if(result, [](char c) { return c == '\t' || c == '\n' || c == '\r'; });
    std::string text;
    bool is_path = true;
    for (const char c : result) {
        is_path = is_path && c != '?' && c != '#';
        if (c == '\\')
            text += is_path ? "/" : "%5C";
        else
            text += c;
    }
    return text;
}

/// "example.org:8080"; without the port if it is the scheme's.
std::string name_of(const http::url& page) {
    if (page.is_default_port()) return std::string(page.host());
    return fmt::format("{}:{}", page.host(), page.port());
}

}  // namespace

http::url normalized(const http::url& any) {
    std::string text = any.origin() + with_few_escapes(any.target());
    if (text.ends_with('?')) text.pop_back();  // an empty query
    return http::url(text).resolve(text);      // which removes "." and ".."
}

std::optional<http::url> resolved(const http::url& base, std::string_view link) {
    const std::string text = cleaned(link);
    if (text.size() > address_bytes_max) return std::nullopt;
    try {
        const http::url page = base.resolve(text);
        if (!page.is_http()) return std::nullopt;
        http::url result = normalized(page);
        if (result.text().size() > address_bytes_max) return std::nullopt;
        return result;
    } catch (const http::url_error&) {  // pages have all kinds of things in an href
        return std::nullopt;
    }
}

std::string comparable(std::string_view text) {
    std::string result;
    for (const char c : with_few_escapes(text)) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte > 0x20 && byte < 0x7f)
            result += c;
        else
            result += fmt::format("%{:02X}", byte);
    }
    return result;
}

void host_list::add_start(const http::url& start) { entries_.push_back(name_of(start)); }

void host_list::add(std::string_view entry) {
    std::string_view host = entry;
    if (host.starts_with('.')) host.remove_prefix(1);
    if (entry == "*") {
        entries_.emplace_back(entry);
        return;
    }
    try {  // brings it into the form of http::url: small letters, IDNA
        const http::url parsed(fmt::format("http://{}/", host));
        if (parsed.target() != "/" || parsed.has_user()) throw http::url_error("it has a path");
        entries_.push_back((entry.starts_with('.') ? "." : "") + name_of(parsed));
    } catch (const http::url_error& error) {
        throw std::invalid_argument(fmt::format("\"{}\" is no host: {}", entry, error.what()));
    }
}

bool host_list::contains(const http::url& page) const {
    const std::string name = name_of(page);
    return std::any_of(entries_.begin(), entries_.end(), [&](const std::string& entry) {
        if (entry == "*" || entry == name) return true;
        return entry.starts_with('.') && (name.ends_with(entry) || entry.substr(1) == name);
    });
}

}  // namespace crawler
