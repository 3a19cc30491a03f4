// SPDX-License-Identifier: MIT
// Tunnels through a proxy.
#include "http/client/tunnel.hpp"

#include <netinet/in.h>

#include <array>

#include <rondo/http/error.hpp>

#include "http/auth.hpp"
#include "http/h1/decoder.hpp"
#include "http/h1/encoder.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

// -- CONNECT (RFC 9110, section 9.3.6) -----------------------------------------------------------
std::string host_and_port(const http::url& where) {
    std::string host(where.host());
    if (where.kind() == http::host_kind::ipv6) host = '[' + host + ']';
    return host + ':' + std::to_string(where.port());
}

task<> open_http_tunnel(tcp_stream& proxy, const http::url& where, const http::url& by) {
    http::fields headers;
    if (by.has_user())
        headers.set("proxy-authorization", http::basic_credentials(by.user(), by.password()));
    const std::string target = host_and_port(where);
    std::string head;
    http::h1::write_request_head(head, "CONNECT", target, target, headers,
                                 http::h1::body_length::none());
    co_await proxy.write_all(head);
    http::h1::response_decoder decoder;
    decoder.begin("CONNECT");
    char buffer[4096];
    std::string_view unread;
    for (bool has_ended = false;;) {
        if (unread.empty()) {  // otherwise an interim answer came together with the next one
            const chunk came = co_await proxy.read_some(buffer);
            unread = came.text();
            has_ended = !came;
        }
        const http::h1::step found = has_ended ? decoder.finish() : decoder.next(unread);
        unread.remove_prefix(found.consumed);
        if (found.what == http::h1::event::failed)
            throw http::connect_error("the proxy's answer: " + decoder.why().text, "CONNECT",
                                      target);
        if (found.what != http::h1::event::head) continue;
        if (decoder.head().status / 100 != 2)
            throw http::connect_error("the proxy refused: " +
                                          std::to_string(decoder.head().status) + ' ' +
                                          decoder.head().reason,
                                      "CONNECT", target);
        // Bytes before TLS has begun would be taken for a part of it.
        if (!unread.empty())
            throw http::connect_error("the proxy sent bytes before the tunnel was used", "CONNECT",
                                      target);
        co_return;
    }
}

// -- SOCKS ---------------------------------------------------------------------------------------
namespace {

constexpr char socks_version = 5;
constexpr char without_user = 0;
constexpr char with_password = 2;
constexpr char kind_ipv4 = 1;
constexpr char kind_name = 3;
constexpr char kind_ipv6 = 4;

/// A length in one byte, and the text.
std::string counted(std::string_view text) {
    return static_cast<char>(static_cast<unsigned char>(text.size())) + std::string(text);
}

std::string two_bytes(std::uint16_t number) {
    return {static_cast<char>(number >> 8), static_cast<char>(number & 0xff)};
}

std::string raw_address(const endpoint& where) {
    if (where.family() == address_family::ipv4) {
        const auto& name = *static_cast<const sockaddr_in*>(where.data());
        return {reinterpret_cast<const char*>(&name.sin_addr), sizeof name.sin_addr};
    }
    const auto& name = *static_cast<const sockaddr_in6*>(where.data());
    return {reinterpret_cast<const char*>(&name.sin6_addr), sizeof name.sin6_addr};
}

[[noreturn]] void refuse(const std::string& why, const socks_target& target) {
    throw http::connect_error("the SOCKS proxy " + why, "CONNECT", target.text());
}

/// Reads exactly as much as an answer has: what follows is the server's. A proxy that hangs up or
/// speaks another protocol is named.
task<std::string> answer_of(tcp_stream& proxy, std::size_t size, const socks_target& target) {
    bool was_cut = false;
    std::string bytes(size, '\0');
    try {
        co_await proxy.read_exactly(buffer_view(bytes.data(), bytes.size()));
    } catch (const incomplete_read_error&) {
        was_cut = true;
    }
    if (was_cut) refuse("hung up before it answered", target);
    co_return bytes;
}

task<> sign_in(tcp_stream& proxy, const http::url& by, const socks_target& target) {
    const std::string user = by.user(), password = by.password();
    if (user.empty() || user.size() > 255 || password.size() > 255)
        refuse("wants a user and a password of 1 to 255 bytes", target);
    const std::string request = '\1' + counted(user) + counted(password);
    co_await proxy.write_all(request);
    const std::string answer = co_await answer_of(proxy, 2, target);
    if (answer[1] != 0) refuse("refused the user or the password", target);
}

task<> greet(tcp_stream& proxy, const http::url& by, const socks_target& target) {
    std::string methods(1, without_user);
    if (by.has_user()) methods += with_password;
    const std::string greeting = socks_version + counted(methods);
    co_await proxy.write_all(greeting);
    const std::string answer = co_await answer_of(proxy, 2, target);
    if (answer[0] != socks_version) refuse("does not speak SOCKS version 5", target);
    if (answer[1] == without_user) co_return;
    if (answer[1] != with_password || !by.has_user())
        refuse(by.has_user() ? "wants another kind of authentication" : "wants a user", target);
    co_await sign_in(proxy, by, target);
}

}  // namespace

std::string socks_target::bytes() const {
    if (const auto* const address = std::get_if<endpoint>(&where_)) {
        const bool is_ipv4 = address->family() == address_family::ipv4;
        return (is_ipv4 ? kind_ipv4 : kind_ipv6) + raw_address(*address) + two_bytes(port_);
    }
    const std::string& name = std::get<std::string>(where_);
    if (name.size() > 255) refuse("takes names of at most 255 bytes", *this);
    return kind_name + counted(name) + two_bytes(port_);
}

std::string socks_target::text() const {
    if (const auto* const address = std::get_if<endpoint>(&where_)) return address->text();
    return std::get<std::string>(where_) + ':' + std::to_string(port_);
}

std::string socks_reason(unsigned char code) {
    switch (code) {
        case 1: return "failed";
        case 2: return "does not allow the connection";
        case 3: return "reports: network unreachable";
        case 4: return "reports: host unreachable";
        case 5: return "reports: connection refused";
        case 6: return "reports: the connection timed out on the way (TTL expired)";
        case 7: return "does not support CONNECT";
        case 8: return "does not support this kind of address";
        default: return "answered with the unknown code " + std::to_string(code);
    }
}

task<> open_socks_tunnel(tcp_stream& proxy, socks_target target, const http::url& by) {
    const std::string destination = target.bytes();
    co_await greet(proxy, by, target);
    const std::string request = std::string{socks_version, 1, 0} + destination;
    co_await proxy.write_all(request);
    const std::string answer = co_await answer_of(proxy, 4, target);
    if (answer[0] != socks_version) refuse("broke the protocol", target);
    if (answer[1] != 0) refuse(socks_reason(static_cast<unsigned char>(answer[1])), target);
    // The proxy's own address, which is of no use here; its length depends on its kind.
    std::size_t rest = 0;
    if (answer[3] == kind_ipv4) rest = 4;
    if (answer[3] == kind_ipv6) rest = 16;
    if (answer[3] == kind_name) {
        const std::string size = co_await answer_of(proxy, 1, target);
        rest = static_cast<unsigned char>(size[0]);
    } else if (rest == 0) {
        refuse("broke the protocol", target);
    }
    co_await answer_of(proxy, rest + 2, target);
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
