// SPDX-License-Identifier: MIT
// Making a connection for a request.
#include <rondo/connect.hpp>
#include <rondo/tls.hpp>
#include <rondo/unix.hpp>

#include "http/auth.hpp"
#include "http/client/session_state.hpp"
#include "http/h1/decoder.hpp"
#include "http/h1/encoder.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

/// Host and port, as CONNECT has them: always with a port.
std::string host_and_port(const http::url& where) {
    std::string host(where.host());
    if (where.kind() == http::host_kind::ipv6) host = '[' + host + ']';
    return host + ':' + std::to_string(where.port());
}

/// Asks an HTTP proxy for a tunnel to `where` (RFC 9110, section 9.3.6).
task<> open_tunnel(tcp_stream& proxy, const http::url& where, const http::url& by) {
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
    for (;;) {
        const chunk came = co_await proxy.read_some(buffer);
        const http::h1::step found = came ? decoder.next(came.text()) : decoder.finish();
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
        if (found.consumed != came.size())
            throw http::connect_error("the proxy sent bytes before the tunnel was used", "CONNECT",
                                      target);
        co_return;
    }
}

task<tcp_stream> connect_tcp_to(http_route route) {
    if (route.proxy == nullptr) {
        if (*route.address) co_return co_await connect_tcp(**route.address);
        co_return co_await connect_tcp(route.where->host_with_zone(), route.where->port());
    }
    tcp_stream proxy = co_await connect_tcp(route.proxy->host_with_zone(), route.proxy->port());
    if (route.where->is_secure()) co_await open_tunnel(proxy, *route.where, *route.proxy);
    co_return proxy;
}

task<http_connection::any_stream> connect_plainly(const http_session& session, http_route route,
                                                  http_budget& budget, http::timing& times) {
    const http::timeouts& limits = session.options.timeouts;
    if (session.connector) co_return http_connection::any_stream(session.connector());
    const time_point began = running_loop().time();
    if (route.where->is_unix()) {
        auto connecting = connect_unix(std::string_view(route.where->socket_path()));
        unix_stream local = co_await budget.limited(http::phase::connect, limits.connect,
                                                    std::move(connecting));
        times.connect += running_loop().time() - began;
        co_return http_connection::any_stream(std::move(local));
    }
    auto connecting = connect_tcp_to(route);
    tcp_stream plain = co_await budget.limited(http::phase::connect, limits.connect,
                                               std::move(connecting));
    times.connect += running_loop().time() - began;
    if (!route.where->is_secure()) co_return http_connection::any_stream(std::move(plain));

    const time_point handshake = running_loop().time();
    tls_options options;
    options.handshake = duration::max();  // the budget has the limit
    options.alpn = "http/1.1";
    std::string name = route.where->host_with_zone();
    auto starting = start_tls(std::move(plain), session.tls, std::move(name), options);
    tls_stream secure =
        co_await budget.limited(http::phase::tls, limits.tls, std::move(starting));
    times.tls += running_loop().time() - handshake;
    co_return http_connection::any_stream(std::move(secure));
}

}  // namespace

task<http_connection::any_stream> connect_http(const http_session& session, http_route route,
                                               http_budget& budget, http::timing& times) {
    try {
        co_return co_await connect_plainly(session, route, budget, times);
    } catch (const rondo::timeout_error&) {
        throw;
    } catch (const rondo::tls_error& error) {
        throw http::tls_error(error.what(), budget.method(), budget.url());
    } catch (const std::system_error& error) {
        throw http::connect_error(error.what(), budget.method(), budget.url());
    }
}

std::string http_route::key() const {
    std::string key = where->is_unix() ? "unix:" + where->socket_path() : where->origin();
    if (proxy != nullptr) key += " by " + proxy->text_with_password();
    if (address != nullptr && *address) key += " at " + (*address)->text();
    return key;
}

http::url proxy_url(std::string_view text) {
    http::url parsed(text);
    if (parsed.scheme() != "http")
        throw http::url_error("a proxy's URL begins with http://: \"" + parsed.text() + "\"");
    return parsed;
}

namespace {

/// Whether `host` is `entry` or, for ".example.org" and "example.org", below it.
bool is_covered(std::string_view host, std::string_view entry) {
    if (entry == "*") return true;
    if (entry.starts_with('.')) entry.remove_prefix(1);
    if (entry.empty() || host.size() < entry.size()) return false;
    if (!http::same_word(host.substr(host.size() - entry.size()), entry)) return false;
    return host.size() == entry.size() || host[host.size() - entry.size() - 1] == '.';
}

}  // namespace

const http::url* http_proxy::for_url(const http::url& where) const {
    const std::optional<http::url>& chosen = where.is_secure() ? secure : address;
    if (!chosen || where.is_unix()) return nullptr;
    for (const std::string_view entry : http::split_list(none))
        if (is_covered(where.host(), entry)) return nullptr;
    return &*chosen;
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
