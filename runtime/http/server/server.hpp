// SPDX-License-Identifier: MIT
// State behind one `serve`: options, connections, counts by address, the date.
#pragma once

#include <cstddef>
#include <ctime>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <rondo/cancel.hpp>
#include <rondo/http/server.hpp>

#include "http/server/exchange.hpp"
#include "http/server/routes.hpp"
#include "http/spare_list.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

class h1_server_connection;

/// A connection, as its server knows it.
class http_server_connection {
public:
    /// The server ends: closes it if it is idle, otherwise after its replies.
    virtual void begin_end() noexcept = 0;
    /// Cancels the handlers and closes the connection.
    virtual void cut_off() noexcept = 0;
    list_links<http_server_connection> of_server;

protected:
    ~http_server_connection() = default;
};

/// A network whose addresses are trusted, "10.0.0.0/8".
struct http_network {
    unsigned char bytes[16] = {};
    unsigned bits = 0;
    address_family family = address_family::none;

    bool contains(const endpoint& address) const noexcept;
};

struct http_server {
    http_server(const http::router& site, http::server_options given);
    ~http_server();

    std::shared_ptr<const http_routes> routes;
    http::server_options options;
    std::vector<http_network> trusted;
    intrusive_list<http_server_connection, &http_server_connection::of_server> connections;
    std::unordered_map<std::string, std::size_t> of_address;
    std::size_t uploads = 0;  // bytes that bodies of HTTP/2 have in memory
    bool is_ending = false;

    bool trusts(const endpoint& address) const noexcept;
    /// "date: ...\r\n" of this second.
    std::string_view date_line();
    /// Its value alone.
    std::string_view date();
    /// Memory of 128 KiB for a piece of a file; some are kept for the next one.
    std::unique_ptr<char[]> take_block();
    void give_block(std::unique_ptr<char[]> block) noexcept { blocks_.give(std::move(block)); }
    static constexpr std::size_t block_bytes = std::size_t{128} * 1024;
    /// A speaker of HTTP/1.1 for a connection that is not idle; some are kept, with their memory.
    std::unique_ptr<h1_server_connection> take_h1();
    void give_h1(std::unique_ptr<h1_server_connection> idle) noexcept;

private:
    spare_list<char[]> blocks_{8};
    spare_list<h1_server_connection> spare_h1_;
    std::string date_line_;
    std::time_t date_ = 0;
};

/// The bytes of an address: 4 or 16, 0 if it has none; an IPv4 address in IPv6 counts as IPv4.
std::size_t address_bytes(const endpoint& address, unsigned char (&to)[16]) noexcept;
/// A key for one client: the address; of IPv6 its first four groups, since a client has all
/// addresses of its /64 network.
std::string network_of(const endpoint& client);

/// Ends all connections, whatever they do.
void cut_off_connections(http_server& server) noexcept;

/// request::remote, request::is_secure and the limit of request::bytes.
endpoint client_of(const http_server_request& request);
bool is_secure_client(const http_server_request& request);
std::size_t body_limit(const http_server_request& request) noexcept;

}  // namespace detail
}  // namespace v0
}  // namespace rondo
