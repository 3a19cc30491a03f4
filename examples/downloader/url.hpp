// SPDX-License-Identifier: MIT
// The URLs that the downloader understands: plain http, strictly.
//
// No part of a URL may end the request line or the Host field, and a host that looks like an
// address must mean the same to us as to the user. So a URL that is not clearly right is refused,
// with the reason; nothing is guessed.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

namespace downloader {

/// A URL or a server's answer is wrong. The text is for the user and safe to print.
class http_error : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// The parts of an http URL that a request needs.
struct url {
    url() = default;

    /// Parses a URL. The fragment is dropped; characters that people write but a URI may not
    /// contain (umlauts, '|') are percent-encoded in the target.
    /// Throws: http_error for everything except plain http with a well-formed host: https,
    ///         user names, spaces, control characters, port 0, IPv4 in octal and hexadecimal.
    explicit url(std::string_view text);

    /// The value of the Host field: "host", "host:8080" or "[::1]:8080".
    std::string authority() const;

    std::string scheme = "http";
    std::string host;  // a name or a literal address, IPv6 without its brackets
    std::uint16_t port = 80;
    std::string target = "/";  // path and query
};

/// Throws: http_error unless `host` is a name of at most 253 characters or a literal address.
void check_host(const std::string& host);

/// True for the printable ASCII characters without the space.
constexpr bool is_visible_ascii(char c) { return c > 0x20 && c < 0x7f; }

/// Compares without regard to the case of ASCII letters.
bool same_word(std::string_view a, std::string_view b);

}  // namespace downloader
