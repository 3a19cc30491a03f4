// SPDX-License-Identifier: MIT
// The beginning of a connection: making it, and its handshake.
#include <system_error>
#include <utility>

#include <rondo/sleep.hpp>

#include "tls/connection.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

tls_transport::~tls_transport() = default;

void throw_read_ahead(std::size_t count) {
    throw invalid_state_error("start_tls: the stream holds " + std::to_string(count) +
                              " bytes that were received before TLS began");
}

namespace {

constexpr auto handshake_kind = wait_queue::kind("another task's handshake");

task<> run_handshake(const tls_shared& self) {
    tls_connection& c = *self;
    for (;;) {
        const tls_step step = c.engine->handshake();
        std::exception_ptr failed;
        if (step == tls_step::failed) failed = c.keep_failure("handshake");
        if (step == tls_step::done && c.is_server) {
            flush_aside(self);  // tickets: the client may take them with its first read
            co_return;
        }
        try {
            co_await flush(c);
        } catch (const std::exception&) {
            if (!failed) throw;  // otherwise it was the alert that could not be sent
        }
        if (failed) std::rethrow_exception(std::move(failed));
        if (step == tls_step::done) co_return;
        if (co_await receive(c) == 0) c.engine->end_input();
    }
}

task<> run_in_time(const tls_shared& self) {
    tls_connection& c = *self;
    timeout_scope scope(deadline_after(c.handshake_limit));
    try {
        co_return co_await run_handshake(self);
    } catch (const cancelled&) {
        if (!scope.timed_out()) throw;
    }
    throw timeout_error(c.titled("handshake"), c.handshake_limit);
}

}  // namespace

task<> shake_hands(tls_shared self) {
    tls_connection& c = *self;
    if (cancel_requested()) throw cancelled();
    while (c.phase == tls_connection::phase_t::shaking)
        co_await c.changed.park(handshake_kind, pass_on_nothing, nullptr);
    if (c.failure) std::rethrow_exception(c.failure);
    if (c.phase == tls_connection::phase_t::ready) co_return;
    if (c.closed) throw closed_error(c.titled("handshake") + ": this stream was closed");
    c.phase = tls_connection::phase_t::shaking;
    try {
        co_await run_in_time(self);
        c.phase = tls_connection::phase_t::ready;
        c.changed.unpark_all();
    } catch (const cancelled&) {
        c.fail(std::make_exception_ptr(
            invalid_state_error(c.titled("handshake") + ": it was cancelled")));
        c.transport->hang_up();
        throw;
    } catch (...) {
        c.fail(std::current_exception());
        close_after_failure(self);
        throw;
    }
}

// -- making a connection --------------------------------------------------------------------------

std::exception_ptr tls_connection::keep_failure(const char* verb) {
    if (failure) return failure;
    const std::string& reason = engine->failure.reason;
    switch (engine->failure.what) {
        case tls_failure::kind::certificate:
            failure = std::make_exception_ptr(tls_certificate_error(verb, name, reason));
            break;
        case tls_failure::kind::truncated:
            failure = std::make_exception_ptr(tls_truncated_error(verb, name, reason));
            break;
        case tls_failure::kind::protocol:
            failure = std::make_exception_ptr(tls_error(verb, name, reason));
            break;
    }
    return failure;
}

void tls_connection::fail(std::exception_ptr error) noexcept {
    failure = std::move(error);
    phase = phase_t::failed;
    changed.unpark_all();
}

namespace {

tls_shared make_connection(std::unique_ptr<tls_transport> transport, std::string name,
                           std::shared_ptr<ssl_context> context, tls_engine_options options,
                           duration handshake_limit) {
    auto made = std::make_shared<tls_connection>();
    made->transport = std::move(transport);
    made->name = std::move(name);
    made->engine = make_tls_engine(std::move(context), std::move(options));
    made->handshake_limit = handshake_limit;
    return made;
}

/// "localhost:8443", "[::1]:8443"
std::string shown(const std::string& host, std::uint16_t port) {
    const bool bare = host.find(':') != host.npos && host.front() != '[';
    return (bare ? '[' + host + ']' : host) + ':' + std::to_string(port);
}

/// The name as certificates have it: without brackets, and without the dot of the root.
std::string plain_host(std::string_view host) {
    if (host.size() > 2 && host.front() == '[' && host.back() == ']')
        host = host.substr(1, host.size() - 2);
    if (host.size() > 1 && host.back() == '.') host.remove_suffix(1);
    return std::string(host);
}

}  // namespace

tls_shared make_tls_client(std::unique_ptr<tls_transport> transport,
                           const tls::client_context& context, std::string host,
                           tls_options options) {
    const auto state = tls_access::state(context);
    const tls_settings& settings = state->settings;
    const std::uint16_t port = transport->remote().port();
    std::string name = host.empty() ? transport->name() : host;
    if (!host.empty() && port != 0) name = shown(host, port);
    if (!settings.server_name.empty()) host = settings.server_name;
    if (host.empty() && settings.verifies)
        throw invalid_state_error(
            "start_tls: the certificate must be of some host, so pass its name: "
            "start_tls(stream, context, \"example.org\")");
    tls_engine_options how;
    how.host = plain_host(host);
    how.alpn = alpn_on_wire(options.alpn);
    if (!how.host.empty()) how.session = how.host + ':' + std::to_string(port);
    return make_connection(std::move(transport), std::move(name), state->get(), std::move(how),
                           options.handshake);
}

tls_shared make_tls_server(std::unique_ptr<tls_transport> transport,
                           const tls::server_context& context, tls_options options) {
    std::string name = transport->name();
    tls_engine_options how;
    how.alpn = alpn_on_wire(options.alpn);
    tls_shared made =
        make_connection(std::move(transport), std::move(name), tls_access::state(context)->get(),
                        std::move(how), options.handshake);
    made->is_server = true;
    return made;
}

task<tls_stream> start_made_tls(tls_shared connection) {
    tls_stream stream(std::move(connection));
    co_await stream.handshake();
    co_return std::move(stream);
}

}  // namespace detail

namespace {

task<tls_stream> connect_by_name(std::string host, std::uint16_t port, tls::client_context context,
                                 connect_options connect, duration handshake, std::string alpn) {
    tcp_stream stream = co_await connect_tcp(host, port, connect);
    tls_options options;
    options.handshake = handshake;
    options.alpn = alpn;
    auto transport = std::make_unique<detail::stream_transport<tcp_stream>>(std::move(stream));
    auto made = detail::make_tls_client(std::move(transport), context, std::move(host), options);
    co_return co_await detail::start_made_tls(std::move(made));
}

task<tls_stream> connect_within(duration limit, task<tls_stream> connecting, std::string target) {
    timeout_scope scope(detail::deadline_after(limit));
    try {
        co_return co_await std::move(connecting);
    } catch (const cancelled&) {
        if (!scope.timed_out()) throw;
    }
    throw timeout_error("connect " + target, limit);
}

}  // namespace

task<tls_stream> connect_tls(std::string host, std::uint16_t port, tls::client_context context,
                             connect_tls_options options) {
    std::string target = detail::shown(host, port);
    auto connecting = connect_by_name(std::move(host), port, std::move(context), options.connect,
                                      options.handshake, std::string(options.alpn));
    const duration limit = options.timeout;
    if (limit == duration::max()) return connecting;
    return connect_within(limit, std::move(connecting), std::move(target));
}

}  // namespace v0
}  // namespace rondo
