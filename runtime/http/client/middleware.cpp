// SPDX-License-Identifier: MIT
// The functions that a session puts around its requests.
#include <rondo/http/request_builder.hpp>

#include "http/client/redirect.hpp"
#include "http/client/request_spec.hpp"
#include "http/client/session_state.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

/// The frame holds the function, the request and `next` until the function's task has ended, so
/// the function may take each by value or by reference.
task<http::response> http_request::run_middleware(std::unique_ptr<http_request> spec) {
    const auto all = spec->session->middlewares;
    http_middleware& middleware = *(*all)[spec->layer];
    http::next_request next(++spec->layer);
    http::request_builder request(std::move(spec));
    auto working = middleware(request, next);
    co_return co_await std::move(working);
}

http::url http_request::whole_url() const {
    http::url where = !parsed.empty()  ? parsed
                      : session->base ? http::joined(*session->base, url)
                                      : http::url(url);
    if (upgrade && (where.scheme() == "ws" || where.scheme() == "wss"))
        where = http::url("http" + where.text_with_password().substr(2));
    if (!where.is_http() && !where.is_unix())
        throw http::url_error("HTTP cannot be spoken to " + std::string(where.scheme()) + ": URLs",
                              method, where.text());
    for (const auto& [name, value] : query) where = where.with_query(name, value);
    return where;
}

task<http::response> send_request(std::unique_ptr<http_request> spec) {
    const auto& all = spec->session->middlewares;
    if (!all || spec->layer >= all->size()) return send_http(std::move(spec));
    return http_request::run_middleware(std::move(spec));
}

}  // namespace detail

namespace http {

task<response> next_request::operator()(request_builder request) const {
    request.changed().layer = layer_;
    return rondo::detail::send_request(std::move(request.spec_));
}

}  // namespace http
}  // namespace v0
}  // namespace rondo
