// SPDX-License-Identifier: MIT
// Sessions: what their requests have in common.
#include <rondo/http/session.hpp>

#include <cstdlib>

#include <rondo/http/websocket.hpp>

#include "http/client/session_state.hpp"

namespace rondo {
inline namespace v0 {
namespace http {

session::session(std::string_view base, session_options options) {
    if (options.connections == 0 || options.connections_per_host == 0 ||
        !rondo::detail::is_count(options.connections) ||
        !rondo::detail::is_count(options.connections_per_host))
        throw error("session_options: the numbers of connections must be at least 1");
    if (options.stream_window == 0)
        throw error("session_options: stream_window must be at least 1");
    if (options.redirects < 0) throw error("session_options: redirects must not be negative");
    state_ = std::make_shared<rondo::detail::http_session>(options);
    if (!base.empty()) state_->base.emplace(base);
}
session::session(session&&) noexcept = default;
session& session::operator=(session&& other) noexcept {
    session old(std::move(other));
    state_.swap(old.state_);
    return *this;
}
session::~session() {
    if (state_) state_->pool->close_now();
}

rondo::detail::http_session& session::state() const noexcept {
    RONDO_ASSERT(state_, "this session was moved from");
    return *state_;
}

http::request_builder session::make(std::string_view method, url_or_text url) const {
    static_cast<void>(state());
    return http::request_builder(state_, method, url);
}

websocket_builder session::websocket(url_or_text url) const {
    return websocket_builder(make("GET", url));
}

fields& session::headers() noexcept { return state().headers; }
cookie_jar& session::cookies() noexcept { return state().cookies; }
void session::tls(tls::client_context context) {
    if (!(context == state().tls)) ++state().tls_number;
    state().tls = std::move(context);
}

void session::add_middleware(
    rondo::detail::function<task<response>(request_builder&, next_request&)> added) {
    // Requests that are at work keep the list that they began with.
    auto all = std::make_shared<rondo::detail::http_middlewares>();
    if (state().middlewares) *all = *state().middlewares;
    all->push_back(std::make_shared<rondo::detail::http_middleware>(std::move(added)));
    state().middlewares = std::move(all);
}

void session::trace(rondo::detail::function<void(const trace_event&)> hook) {
    state().trace.reset();
    if (hook) state().trace = std::make_shared<rondo::detail::http_trace_hook>(std::move(hook));
}

void session::set_allowed(rondo::detail::function<bool(const endpoint&)> allows) {
    using kept = rondo::detail::function<bool(const endpoint&)>;
    state().allows = std::make_unique<kept>(std::move(allows));
}

void session::netrc(std::string_view path) {
    std::string file(path);
    if (path.empty()) {
        const char* const home = std::getenv("HOME");
        if (home == nullptr) throw error("session::netrc: the variable HOME is not set");
        file = std::string(home) + "/.netrc";
    }
    state().netrc.path = std::move(file);
    state().netrc.text.reset();
}

void session::proxy(std::string_view url, std::string_view no_proxy) {
    rondo::detail::http_proxy chosen;
    if (!url.empty()) chosen.address = chosen.secure = rondo::detail::proxy_url(url);
    chosen.none = no_proxy;
    state().proxy = std::move(chosen);
}

namespace {

std::string_view variable(const char* lower, const char* upper = nullptr) {
    const char* value = std::getenv(lower);
    if (value == nullptr && upper != nullptr) value = std::getenv(upper);
    return value != nullptr ? value : "";
}

}  // namespace

void session::proxy_from_environment() {
    rondo::detail::http_proxy chosen;
    const std::string_view all = variable("all_proxy", "ALL_PROXY");
    // HTTP_PROXY in capitals is not read: a CGI program gets it from the client's header "Proxy".
    std::string_view plain = variable("http_proxy");
    std::string_view secure = variable("https_proxy", "HTTPS_PROXY");
    if (plain.empty()) plain = all;
    if (secure.empty()) secure = all;
    if (!plain.empty()) chosen.address = rondo::detail::proxy_url(plain);
    if (!secure.empty()) chosen.secure = rondo::detail::proxy_url(secure);
    chosen.none = variable("no_proxy", "NO_PROXY");
    state().proxy = std::move(chosen);
}

std::size_t session::connections() const noexcept { return state().pool->connections(); }
std::size_t session::idle_connections() const noexcept { return state().pool->idle(); }

task<> session::close() {
    state().is_closed = true;
    return state().pool->close();
}

}  // namespace http
}  // namespace v0
}  // namespace rondo
