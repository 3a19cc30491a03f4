// SPDX-License-Identifier: MIT
// Accepting connections over TLS: a TCP or Unix listener, and a context.
#include <rondo/tls_listener.hpp>

#include <memory>

#include "tls/settings.hpp"

namespace rondo {
inline namespace v0 {

namespace {

std::variant<tcp_listener, unix_listener> listen(const endpoint& where,
                                                 const listen_options& options) {
    if (where.family() != address_family::unix_socket) return tcp_listener::bind(where, options);
    unix_listen_options of_unix;
    of_unix.backlog = options.backlog;
    return unix_listener::bind(where, of_unix);
}

template <class Listener>
task<std::unique_ptr<detail::tls_transport>> accept_from(Listener& listener) {
    auto stream = co_await listener.accept();
    co_return detail::make_transport(std::move(stream));
}

task<tls_stream> protect(task<std::unique_ptr<detail::tls_transport>> accepting,
                         tls::server_context context, tls_options options, std::string alpn) {
    options.alpn = alpn;
    auto transport = co_await std::move(accepting);
    co_return tls_stream(detail::make_tls_server(std::move(transport), context, options));
}

}  // namespace

tls_listener tls_listener::bind(const endpoint& where, tls::server_context context,
                                listen_options options) {
    auto bound = listen(where, options);
    if (auto* const tcp = std::get_if<tcp_listener>(&bound))
        return tls_listener(std::move(*tcp), std::move(context));
    return tls_listener(std::get<unix_listener>(std::move(bound)), std::move(context));
}

tls_listener::tls_listener(tcp_listener listener, tls::server_context context)
    : listener_(std::move(listener)), context_(std::move(context)) {
    detail::tls_access::state(context_)->get();  // an error of the context ends no `serve`
}
tls_listener::tls_listener(unix_listener listener, tls::server_context context)
    : listener_(std::move(listener)), context_(std::move(context)) {
    detail::tls_access::state(context_)->get();
}

task<tls_stream> tls_listener::accept() {
    auto accepting =
        std::visit([](auto& listener) { return accept_from(listener); }, listener_);
    return protect(std::move(accepting), context_, options_, alpn_);
}

void tls_listener::alpn(std::string_view names) {
    static_cast<void>(detail::alpn_on_wire(names));
    alpn_ = names;
}

void tls_listener::report_shortages() noexcept {
    std::visit([](auto& listener) { listener.report_shortages(); }, listener_);
}
endpoint tls_listener::local() const noexcept {
    return std::visit([](const auto& listener) { return listener.local(); }, listener_);
}
bool tls_listener::is_open() const noexcept {
    return std::visit([](const auto& listener) { return listener.is_open(); }, listener_);
}
detail::closing tls_listener::close() noexcept {
    return std::visit([](auto& listener) { return listener.close(); }, listener_);
}

}  // namespace v0
}  // namespace rondo
