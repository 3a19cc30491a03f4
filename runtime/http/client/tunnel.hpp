// SPDX-License-Identifier: MIT
// Tunnels through a proxy: CONNECT of HTTP, and SOCKS version 5 (RFC 1928, RFC 1929). Both end with
// a stream on which nothing but the server's bytes come.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include <rondo/endpoint.hpp>
#include <rondo/http/url.hpp>
#include <rondo/net.hpp>
#include <rondo/task.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

/// Host and port, as CONNECT has them: always with a port, IPv6 in brackets.
std::string host_and_port(const http::url& where);

/// Asks the HTTP proxy `by` for a tunnel to `where`.
/// Throws: http::connect_error if it refuses; std::system_error.
task<> open_http_tunnel(tcp_stream& proxy, const http::url& where, const http::url& by);

/// The destination of a SOCKS tunnel: an address, or a name that the proxy looks up.
class socks_target {
public:
    explicit socks_target(const endpoint& address) : where_(address), port_(address.port()) {}
    socks_target(std::string_view name, std::uint16_t port)
        : where_(std::string(name)), port_(port) {}

    /// Kind, address and port, as a request of RFC 1928 has them.
    /// Throws: http::connect_error for a name of more than 255 bytes.
    std::string bytes() const;
    std::string text() const;

private:
    std::variant<endpoint, std::string> where_;
    std::uint16_t port_;
};

/// Asks the SOCKS proxy `by` for a connection to `target`.
/// Throws: http::connect_error, which says the proxy's reason in words; std::system_error.
task<> open_socks_tunnel(tcp_stream& proxy, socks_target target, const http::url& by);

/// "connection refused" for 5: the reply codes of RFC 1928, section 6.
std::string socks_reason(unsigned char code);

}  // namespace detail
}  // namespace v0
}  // namespace rondo
