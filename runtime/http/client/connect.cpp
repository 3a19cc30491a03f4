// SPDX-License-Identifier: MIT
// Making a connection for a request.
#include <algorithm>

#include <rondo/connect.hpp>
#include <rondo/dns.hpp>
#include <rondo/tls.hpp>
#include <rondo/unix.hpp>

#include "http/client/session_state.hpp"
#include "http/client/tunnel.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

/// Throws unless the session lets `address` be connected to.
void check_allowed(const http_session& session, const endpoint& address, const std::string& name) {
    if (session.allows && !(*session.allows)(address))
        throw http::connect_error(
            "the address " + address.text() + " of " + name + " is not allowed", {}, {});
}

/// Looks the addresses of `host` up, or takes the one that the request names.
task<std::vector<endpoint>> addresses_of(const http::url& host,
                                         const std::optional<endpoint>* given, http_budget& budget,
                                         http::timing& times) {
    if (given != nullptr && *given) co_return std::vector<endpoint>(1, **given);
    const time_point began = running_loop().time();
    auto found = co_await resolve(host.host_with_zone(), host.port());
    const duration took = running_loop().time() - began;
    times.dns += took;
    if (host.kind() == http::host_kind::name)
        budget.tell(http::trace_point::dns, {.took = took, .text = host.host()});
    co_return found;
}

task<std::vector<endpoint>> allowed_addresses(const http_session& session, http_route route,
                                              http_budget& budget, http::timing& times) {
    auto addresses = co_await addresses_of(*route.where, route.address, budget, times);
    const std::string name = host_and_port(*route.where);
    // All of them: a host that has one address of another network is not to be trusted.
    for (const endpoint& each : addresses) check_allowed(session, each, name);
    co_return addresses;
}

class tcp_connecting {
public:
    tcp_connecting(const http_session& session, http_route route, http_budget& budget,
                   http::timing& times)
        : session_(session), route_(route), budget_(budget), times_(times) {}

    task<tcp_stream> run() {
        if (route_.proxy == nullptr) {
            auto addresses = co_await allowed_addresses(session_, route_, budget_, times_);
            co_return co_await connect(std::move(addresses), host_and_port(*route_.where));
        }
        if (is_socks(*route_.proxy)) co_return co_await connect_by_socks();
        check_literal();
        tcp_stream proxy = co_await connect_to_proxy();
        if (route_.where->is_secure() || route_.upgrades)
            co_await open_http_tunnel(proxy, *route_.where, *route_.proxy);
        co_return proxy;
    }

private:
    task<tcp_stream> connect(std::vector<endpoint> addresses, std::string name) {
        connect_options options;
        options.local = session_.options.local;
        return connect_tcp(std::move(addresses), std::move(name), options);
    }

    task<tcp_stream> connect_to_proxy() {
        auto addresses = co_await addresses_of(*route_.proxy, nullptr, budget_, times_);
        co_return co_await connect(std::move(addresses), host_and_port(*route_.proxy));
    }

    /// The proxy looks names up; an address in the URL can be checked here.
    void check_literal() const {
        const auto literal = endpoint::parse(route_.where->host_with_zone(), route_.where->port());
        if (literal) check_allowed(session_, *literal, host_and_port(*route_.where));
    }

    task<tcp_stream> connect_by_socks() {
        const bool looks_up_here = route_.proxy->scheme() == "socks5" || *route_.address;
        if (!looks_up_here) {
            check_literal();
            co_return co_await tunnel_to(named_target());
        }
        const auto addresses = co_await allowed_addresses(session_, route_, budget_, times_);
        std::exception_ptr failed;
        for (std::size_t i = 0; i < std::min(addresses.size(), socks_attempts); ++i) {
            try {
                co_return co_await tunnel_to(socks_target(addresses[i]));
            } catch (const http::connect_error&) {  // perhaps of this address alone
                failed = std::current_exception();
            }
        }
        std::rethrow_exception(failed);
    }

    socks_target named_target() const {
        const auto literal = endpoint::parse(route_.where->host_with_zone(), route_.where->port());
        return literal ? socks_target(*literal)
                       : socks_target(route_.where->host(), route_.where->port());
    }

    task<tcp_stream> tunnel_to(socks_target target) {
        tcp_stream proxy = co_await connect_to_proxy();
        co_await open_socks_tunnel(proxy, std::move(target), *route_.proxy);
        co_return proxy;
    }

    static constexpr std::size_t socks_attempts = 4;
    const http_session& session_;
    http_route route_;
    http_budget& budget_;
    http::timing& times_;
};

task<unix_stream> connect_by_path(const http_session& session, std::string path) {
    const endpoint where = endpoint::unix_path(path);
    check_allowed(session, where, where.text());
    co_return co_await connect_unix(std::string_view(path));
}

/// The protocols to offer in the handshake.
std::string_view offered(http_wanted wanted) noexcept {
    switch (wanted) {
        case http_wanted::plain:
            return "http/1.1";
        case http_wanted::shared:
            return "h2";
        case http_wanted::either:
            break;
    }
    return "h2,http/1.1";
}

task<http_connection::any_stream> connect_plainly(const http_session& session, http_route route,
                                                  http_budget& budget, http::timing& times) {
    const http::timeouts& limits = session.options.timeouts;
    if (session.connector) co_return http_connection::any_stream(session.connector());
    if (route.where->is_unix()) {
        const time_point began = running_loop().time();
        auto connecting = connect_by_path(session, route.where->socket_path());
        unix_stream local =
            co_await budget.limited(http::phase::connect, limits.connect, std::move(connecting));
        const duration took = running_loop().time() - began;
        times.connect += took;
        const std::string path = route.where->socket_path();
        budget.tell(http::trace_point::connect, {.took = took, .text = path});
        co_return http_connection::any_stream(std::move(local));
    }
    const time_point began = running_loop().time();
    const duration looked_up_before = times.dns;
    tcp_connecting work(session, route, budget, times);
    auto connecting = work.run();
    tcp_stream plain =
        co_await budget.limited(http::phase::connect, limits.connect, std::move(connecting));
    const duration took = running_loop().time() - began - (times.dns - looked_up_before);
    times.connect += took;
    if (budget.is_traced()) {
        const std::string address = plain.remote().text();
        budget.tell(http::trace_point::connect, {.took = took, .text = address});
    }
    if (!route.where->is_secure()) co_return http_connection::any_stream(std::move(plain));

    const time_point handshake = running_loop().time();
    tls_options options;
    options.handshake = duration::max();  // the budget has the limit
    options.alpn = offered(route.wanted);
    std::string name = route.where->host_with_zone();
    auto starting = start_tls(std::move(plain), session.tls, std::move(name), options);
    tls_stream secure = co_await budget.limited(http::phase::tls, limits.tls, std::move(starting));
    const duration shaken = running_loop().time() - handshake;
    times.tls += shaken;
    budget.tell(http::trace_point::tls,
                {.took = shaken, .text = rondo::tls::text(secure.version())});
    if (route.wanted == http_wanted::shared && secure.alpn() != "h2")
        throw http::connect_error("the server does not speak HTTP/2", budget.method(),
                                  budget.url());
    co_return http_connection::any_stream(std::move(secure));
}

}  // namespace

task<http_connection::any_stream> connect_http(const http_session& session, http_route route,
                                               http_budget& budget, http::timing& times) {
    try {
        co_return co_await connect_plainly(session, route, budget, times);
    } catch (const rondo::timeout_error&) {
        throw;
    } catch (const http::connect_error& error) {
        if (!error.url().empty()) throw;
        throw http::connect_error(error.what(), budget.method(), budget.url());
    } catch (const rondo::tls_error& error) {
        throw http::tls_error(error.what(), budget.method(), budget.url());
    } catch (const std::system_error& error) {
        throw http::connect_error(error.what(), budget.method(), budget.url());
    }
}

bool speaks_http_2(const http_connection::any_stream& stream, http_wanted wanted) noexcept {
    if (const auto* const secure = std::get_if<tls_stream>(&stream))
        return wanted != http_wanted::plain && secure->alpn() == "h2";
    return wanted == http_wanted::shared;
}

std::string http_route::key() const {
    std::string key = where->is_unix() ? "unix:" + where->socket_path() : where->origin();
    if (where->is_secure()) key += " as " + std::to_string(tls_number);
    if (proxy != nullptr) key += " by " + proxy->text_with_password();
    if (upgrades) key += " to switch";
    if (address != nullptr && *address) key += " at " + (*address)->text();
    return key;
}

http::url proxy_url(std::string_view text) {
    http::url parsed(text);
    const std::string_view scheme = parsed.scheme();
    if (scheme != "http" && scheme != "socks5" && scheme != "socks5h")
        // Not the text: without "//" it may be a name and a password.
        throw http::url_error("a proxy's URL begins with http://, socks5:// or socks5h://");
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
