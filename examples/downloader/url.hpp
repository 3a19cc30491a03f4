// SPDX-License-Identifier: MIT
// The URLs that the downloader understands: plain http, strictly.
//
// What ends up in a request line or in a Host field must not be able to end its line, and what
// looks like an address must mean the same to us as to the user. So a URL that is not clearly right
// is refused, with the reason; nothing is guessed.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

namespace downloader {

/// What is wrong with a URL or with a server's answer, in words for the user and safe to print.
class http_error : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// The parts of an http URL that a request needs.
struct url {
    url() = default;

    /// Takes a URL apart. The fragment is dropped; characters that a URI may not contain but people
    /// write (umlauts, '|') are percent-encoded in the target.
    /// Throws: http_error for everything that is not plain http with a well-formed host: https,
    ///         user names, spaces, control characters, port 0, IPv4 in octal and hexadecimal.
    explicit url(std::string_view text);

    /// "host", "host:8080" or "[::1]:8080": what the Host field says.
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
