// SPDX-License-Identifier: MIT
// Accepting connections over TLS:
//
//     auto identity = rondo::tls::server_context("chain.pem", "key.pem");
//     auto listener = rondo::tls_listener::bind({"0.0.0.0", 8443}, identity);
//     co_await rondo::serve(std::move(listener), handler);  // task<> handler(rondo::tls_stream)
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include <rondo/net.hpp>
#include <rondo/serve.hpp>
#include <rondo/tls_stream.hpp>
#include <rondo/unix.hpp>

namespace rondo {
inline namespace v0 {

/// A listening socket whose connections speak TLS. Move-only; the destructor closes it.
/// Thread: as tcp_listener.
/// See:    asyncio.start_server(ssl=...).
class RONDO_API tls_listener {
public:
    /// Listens at an IP address, or at a Unix socket.
    /// Throws: std::system_error, as tcp_listener::bind and unix_listener::bind.
    static tls_listener bind(const endpoint& where, tls::server_context context,
                             listen_options options = {});
    tls_listener(tcp_listener listener, tls::server_context context);
    tls_listener(unix_listener listener, tls::server_context context);

    /// Waits for the next connection, not for its handshake. That is made by the first read or
    /// write, or by tls_stream::handshake, within 10 s. `serve` does it in the connection's own
    /// task.
    /// Throws: as tcp_listener::accept.
    /// Cancel: no connection is lost.
    task<tls_stream> accept();

    /// Limit of the handshake. 10 s at first.
    void handshake_limit(detail::time_limit limit) noexcept { options_.handshake = limit; }
    /// Protocols to speak if the context names none: "h2,http/1.1". As tls_options::alpn.
    /// Throws: std::invalid_argument for a name that is empty or longer than 255 bytes.
    void alpn(std::string_view names);
    /// As tcp_listener::report_shortages.
    void report_shortages() noexcept;
    endpoint local() const noexcept;
    bool is_open() const noexcept;
    explicit operator bool() const noexcept { return is_open(); }
    detail::closing close() noexcept;

    /// For `reload`: the context of new connections.
    tls::server_context& context() noexcept { return context_; }

private:
    std::variant<tcp_listener, unix_listener> listener_;
    tls::server_context context_;
    std::string alpn_;
    tls_options options_{};
};

}  // namespace v0
}  // namespace rondo
