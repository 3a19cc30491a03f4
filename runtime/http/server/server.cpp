// SPDX-License-Identifier: MIT
// State behind one `serve`, and which addresses are believed.
#include "http/server/server.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstring>

#include <rondo/http/date.hpp>

#include "http/ascii.hpp"
#include "http/h2/engine.hpp"
#include "http/server/h1_connection.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

std::size_t address_bytes(const endpoint& address, unsigned char (&to)[16]) noexcept {
    if (address.family() == address_family::ipv4) {
        sockaddr_in name;
        std::memcpy(&name, address.data(), sizeof name);
        std::memcpy(to, &name.sin_addr, 4);
        return 4;
    }
    if (address.family() != address_family::ipv6) return 0;
    sockaddr_in6 name;
    std::memcpy(&name, address.data(), sizeof name);
    if (IN6_IS_ADDR_V4MAPPED(&name.sin6_addr)) {
        std::memcpy(to, name.sin6_addr.s6_addr + 12, 4);
        return 4;
    }
    std::memcpy(to, &name.sin6_addr, 16);
    return 16;
}

std::string network_of(const endpoint& client) {
    unsigned char bytes[16];
    const std::size_t size = address_bytes(client, bytes);
    if (size == 0) return "unix";
    return {reinterpret_cast<const char*>(bytes), std::min<std::size_t>(size, 8)};
}

namespace {

http_network parse_network(std::string_view text) {
    http_network made;
    if (text == "unix") {
        made.family = address_family::unix_socket;
        return made;
    }
    const std::size_t slash = std::min(text.find('/'), text.size());
    const auto address = endpoint::parse(text.substr(0, slash), 0);
    const std::size_t size = address ? address_bytes(*address, made.bytes) : 0;
    made.bits = static_cast<unsigned>(size) * 8;
    if (size != 0 && slash != text.size()) {
        unsigned bits = 0;
        const char* const end = text.data() + text.size();
        const auto [stop, error] = std::from_chars(text.data() + slash + 1, end, bits);
        if (error != std::errc() || stop != end || bits > made.bits) made.bits = ~0U;
        made.bits = std::min(made.bits, bits);
    }
    if (size == 0 || made.bits > size * 8)
        throw http::error("server_options::trusted_proxies: \"" + http::ascii::printable(text) +
                          "\" is no address and no network such as 10.0.0.0/8");
    made.family = size == 4 ? address_family::ipv4 : address_family::ipv6;
    return made;
}

}  // namespace

bool http_network::contains(const endpoint& address) const noexcept {
    if (family == address_family::unix_socket)
        return address.family() == address_family::unix_socket;
    unsigned char other[16];
    const std::size_t size = address_bytes(address, other);
    if (size != (family == address_family::ipv4 ? 4U : 16U)) return false;
    if (std::memcmp(bytes, other, bits / 8) != 0) return false;
    if (bits % 8 == 0) return true;
    const auto mask = static_cast<unsigned char>(0xff00U >> (bits % 8));
    return ((bytes[bits / 8] ^ other[bits / 8]) & mask) == 0;
}

http_server::http_server(const http::router& site, http::server_options given)
    : routes(site.routes()), options(given), spare_h1_(64) {
    for (const std::string_view each : http::split_list(given.trusted_proxies))
        trusted.push_back(parse_network(each));
    options.trusted_proxies = {};
    if (options.head_bytes == 0 || options.header_fields == 0 || options.target_bytes == 0 ||
        options.connections == 0 || options.streams == 0 || options.stream_window == 0)
        throw http::error("server_options: a number that must be at least 1 is 0");
}

http_server::~http_server() = default;

bool http_server::trusts(const endpoint& address) const noexcept {
    return std::any_of(trusted.begin(), trusted.end(),
                       [&](const http_network& each) { return each.contains(address); });
}

std::string_view http_server::date_line() {
    const std::time_t now = std::time(nullptr);
    if (now != date_) {
        const http::date_time when{std::chrono::seconds(now)};
        date_line_ = "date: " + http::http_date(when) + "\r\n";
        date_ = now;
    }
    return date_line_;
}

std::string_view http_server::date() {
    std::string_view value = date_line();
    value.remove_prefix(6);
    value.remove_suffix(2);
    return value;
}

std::unique_ptr<char[]> http_server::take_block() {
    auto spare = blocks_.take();
    return spare ? std::move(spare) : std::make_unique_for_overwrite<char[]>(block_bytes);
}

std::unique_ptr<h1_server_connection> http_server::take_h1() {
    auto spare = spare_h1_.take();
    return spare ? std::move(spare) : std::make_unique<h1_server_connection>(*this);
}

void http_server::give_h1(std::unique_ptr<h1_server_connection> idle) noexcept {
    spare_h1_.give(std::move(idle));
}

// -- the client behind proxies -------------------------------------------------------------------
endpoint client_of(const http_server_request& request) {
    endpoint client = request.exchange->peer();
    if (!request.server->trusts(client)) return client;
    // From the right: each proxy has added the address that it saw.
    // A quote of the client's must not swallow their commas, so this is no list of strings.
    const std::string all = request.headers->joined("x-forwarded-for");
    for (std::string_view left = all; !left.empty();) {
        const std::size_t comma = left.rfind(',');
        const std::string_view text = http::ascii::trimmed(left.substr(comma + 1));
        left = left.substr(0, comma == left.npos ? 0 : comma);
        if (text.empty()) continue;
        auto address = endpoint::parse(text, 0);
        if (!address) address = endpoint::parse(text);
        if (!address || !address->is_ip()) break;
        client = *address;
        if (!request.server->trusts(client)) break;
    }
    return client;
}

bool is_secure_client(const http_server_request& request) {
    if (request.exchange->is_secure()) return true;
    if (request.server->trusted.empty() || !request.server->trusts(request.exchange->peer()))
        return false;
    const auto said = request.headers->get("x-forwarded-proto");
    return said && http::same_word(*said, "https");
}

std::size_t body_limit(const http_server_request& request) noexcept {
    return request.server->options.body_bytes;
}

// -- places --------------------------------------------------------------------------------------
http_place::http_place(std::shared_ptr<http_server> of, const endpoint& peer) : of_(std::move(of)) {
    key_ = network_of(peer);
    std::size_t& count = of_->of_address[key_];
    if (count == of_->options.connections_per_address) {
        of_.reset();
        return;
    }
    ++count;
}

void http_place::leave() noexcept {
    const auto found = of_->of_address.find(key_);
    if (--found->second == 0) of_->of_address.erase(found);
    of_.reset();
}

// -- the face of serve ---------------------------------------------------------------------------
http_server_stream::~http_server_stream() = default;

std::shared_ptr<http_server> make_http_server(const http::router& site,
                                              http::server_options options) {
    return std::make_shared<http_server>(site, options);
}

bool counts_addresses(const http_server& server) noexcept {
    return server.options.connections_per_address != 0;
}

bool speaks_http2(const http_server& server) noexcept {
    return server.options.http2 && http::h2::is_available();
}

void end_http_server(http_server& server) noexcept {
    server.is_ending = true;
    for (http_server_connection* each = server.connections.first(); each != nullptr;) {
        http_server_connection* const following = server.connections.next(*each);
        each->begin_end();
        each = following;
    }
}

void cut_off_connections(http_server& server) noexcept {
    for (http_server_connection* each = server.connections.first(); each != nullptr;) {
        http_server_connection* const following = server.connections.next(*each);
        each->cut_off();
        each = following;
    }
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
