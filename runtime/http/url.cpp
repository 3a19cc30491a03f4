// SPDX-License-Identifier: MIT
// Parts of URLs, relative references (RFC 3986, section 5), percent-encoding.
#include <rondo/http/url.hpp>

#include <algorithm>

#include <rondo/http/fields.hpp>

#include "http/ascii.hpp"
#include "http/url_parser.hpp"

namespace rondo {
inline namespace v0 {
namespace http {

namespace {

using namespace ascii;

constexpr ascii::set kept_in_paths("-._~/");

std::string encoded(std::string_view text, const ascii::set& kept) {
    std::string result;
    result.reserve(text.size());
    for (const char c : text) {
        if (kept.has(c)) {
            result += c;
            continue;
        }
        const auto byte = static_cast<unsigned char>(c);
        result += {'%', hex_digits[byte >> 4], hex_digits[byte & 15]};
    }
    return result;
}

/// A reference taken apart, without a check of its parts. A '?' and a '#' stay with their parts.
struct reference_parts {
    explicit reference_parts(std::string_view text) {
        scheme = scheme_of(text);
        if (!scheme.empty()) text.remove_prefix(scheme.size() + 1);
        if (text.substr(0, 2) == "//") {
            authority = text.substr(0, std::min(text.find_first_of("/?#", 2), text.size()));
            text.remove_prefix(authority.size());
        }
        path = text.substr(0, text.find_first_of("?#"));
        text.remove_prefix(path.size());
        query = text.substr(0, text.find('#'));
        fragment = text.substr(query.size());
    }
    std::string_view scheme, authority, path, query, fragment;
};

void remove_last_segment(std::string& path) {
    const auto slash = path.rfind('/');
    path.erase(slash == std::string::npos ? 0 : slash);
}

/// RFC 3986, section 5.2.4, step by step.
std::string without_dot_segments(std::string_view in) {
    std::string out;
    while (!in.empty()) {
        if (in.substr(0, 3) == "../") {
            in.remove_prefix(3);
        } else if (in.substr(0, 2) == "./" || in.substr(0, 3) == "/./") {
            in.remove_prefix(2);
        } else if (in == "/.") {
            in = "/";
        } else if (in.substr(0, 4) == "/../" || in == "/..") {
            in = in.size() == 3 ? std::string_view("/") : in.substr(3);
            remove_last_segment(out);
        } else if (in == "." || in == "..") {
            break;
        } else {
            const auto end = std::min(in.find('/', 1), in.size());
            out += in.substr(0, end);
            in.remove_prefix(end);
        }
    }
    return out;
}

std::string with_encoded_spaces(std::string_view text) {
    std::string result;
    for (const char c : text)
        result += c == ' ' ? std::string_view("%20") : std::string_view(&c, 1);
    return result;
}

}  // namespace

url::url(std::string_view text) { url_parser(*this).parse(text); }

bool url::is_http() const noexcept { return scheme() == "http" || scheme() == "https"; }
bool url::is_secure() const noexcept { return scheme() == "https" || scheme() == "wss"; }

std::string url::user() const {
    const std::string_view text = part(user_begin_, user_end_);
    return percent_decode(text).value_or(std::string(text));
}

std::string url::password() const {
    if (at_ <= user_end_) return "";
    const std::string_view text = part(user_end_ + 1, at_);
    return percent_decode(text).value_or(std::string(text));
}

std::string_view url::host() const noexcept {
    return is_unix() ? std::string_view("localhost") : part(host_begin_, host_end_);
}

std::string url::host_with_zone() const {
    std::string result(host());
    if (zone_end_ > zone_begin_) (result += '%') += zone();
    return result;
}

std::string url::socket_path() const {
    return is_unix() ? percent_decode(part(host_begin_, host_end_)).value_or("") : "";
}

bool url::is_default_port() const noexcept { return port_ == default_port(scheme()); }

std::string_view url::query() const noexcept {
    return has_query() ? part(path_end_ + 1, query_end_) : std::string_view();
}

std::string_view url::fragment() const noexcept {
    return has_fragment() ? part(query_end_ + 1, text_.size()) : std::string_view();
}

std::string url::authority() const {
    if (is_unix()) return std::string(host());
    if (kind_ != host_kind::ipv6) return std::string(host_and_port());
    std::string result = '[' + std::string(host()) + ']';
    if (!is_default_port()) result += ':' + std::to_string(port_);
    return result;
}

std::string url::origin() const {
    if (is_unix()) return std::string(part(0, host_end_));
    std::string result;
    result.reserve(path_begin_ + 3);
    (result += scheme()) += "://";
    if (kind_ != host_kind::ipv6) return result += host_and_port();
    result += '[' + host_with_zone() + ']';  // another interface is another peer
    return is_default_port() ? result : result + ':' + std::to_string(port_);
}

std::string url::text() const {
    if (!has_user()) return text_;
    return std::string(part(0, user_begin_)) + text_.substr(at_ + 1);
}

url url::resolve(std::string_view reference) const {
    const reference_parts r(reference);
    const bool has_authority = user_begin_ > scheme_end_ + 1;
    std::string path = with_encoded_spaces(r.path);
    std::string rest = with_encoded_spaces(r.query);
    std::string before;
    if (!r.scheme.empty()) {
        before = std::string(r.scheme) + ':' + std::string(r.authority);
        if (!same_word(r.scheme, "unix")) path = without_dot_segments(path);
    } else if (!r.authority.empty()) {
        if (is_unix()) throw url_error("a URL of a Unix socket has no other hosts");
        before = std::string(scheme()) + ':' + std::string(r.authority);
        path = without_dot_segments(path);
    } else {
        before = part(0, path_begin_);
        if (path.empty() && rest.empty()) rest = part(path_end_, query_end_);
        path = path.empty() ? std::string(this->path()) : without_dot_segments(merged(path));
        if (!is_unix() && !has_authority && path.substr(0, 2) == "//")
            throw url_error("the path of the reference would become a host");
    }
    return url(before + path + rest + with_encoded_spaces(r.fragment));
}

/// `reference`, a path that is not empty, behind the last '/' of this path.
std::string url::merged(const std::string& reference) const {
    if (reference.front() == '/') return reference;
    std::string result(path());
    if (result.empty() && host_end_ > host_begin_) result = '/';
    result.erase(result.rfind('/') + 1);
    return result += reference;
}

url url::with_query(std::string_view name, std::string_view value) const {
    const std::string_view before = query();
    std::string encoded(before);
    if (!before.empty()) encoded += '&';
    return with_query(encoded + percent_encode(name) + '=' + percent_encode(value));
}

url url::with_query(std::string_view encoded) const {
    std::string text(part(0, path_end_));
    if (!encoded.empty()) (text += '?') += encoded;
    return url(text += part(query_end_, text_.size()));
}

url url::with_user(std::string_view user, std::string_view password) const {
    if (host_end_ == host_begin_ || is_unix())
        throw url_error("only a URL with a host can have a user");
    std::string text(part(0, user_begin_));
    text += percent_encode(user);
    if (!password.empty()) (text += ':') += percent_encode(password);
    text += '@';
    return url(text += std::string_view(text_).substr(has_user() ? at_ + 1 : user_begin_));
}

url url::without_user() const { return empty() ? url() : url(text()); }

url url::without_fragment() const { return empty() ? url() : url(part(0, query_end_)); }

std::string percent_encode(std::string_view text) { return encoded(text, unreserved_characters); }
std::string percent_encode_path(std::string_view text) { return encoded(text, kept_in_paths); }

std::optional<std::string> percent_decode(std::string_view text) {
    std::string result;
    result.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            result += text[i];
            continue;
        }
        const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
        const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
        if (high < 0 || low < 0) return std::nullopt;
        result += static_cast<char>(high * 16 + low);
        i += 2;
    }
    return result;
}

}  // namespace http
}  // namespace v0
}  // namespace rondo
