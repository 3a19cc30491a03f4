// SPDX-License-Identifier: MIT
// Routers: adding routes, and the way of a request through the middleware.
#include <rondo/http/router.hpp>

#include <algorithm>

#include "http/server/files.hpp"
#include "http/server/routes.hpp"

namespace rondo {
inline namespace v0 {
namespace http {

router::router() : routes_(std::make_shared<rondo::detail::http_routes>()) {}
router::router(router&&) noexcept = default;
router& router::operator=(router&&) noexcept = default;
router::~router() = default;

router& router::add(std::string_view method, std::string_view path,
                    rondo::detail::http_handler handler) {
    routes_->add(method, path, std::move(handler));
    return *this;
}

router& router::add_layer(
    rondo::detail::function<task<reply>(http::request&, next_handler)> layer) {
    routes_->layers.push_back(std::move(layer));
    return *this;
}

router& router::set_not_found(rondo::detail::http_handler handler) {
    routes_->missing = std::move(handler);
    return *this;
}

router& router::set_on_error(
    rondo::detail::function<task<reply>(http::request&, std::exception_ptr)> handler) {
    routes_->on_error = std::move(handler);
    return *this;
}

router& router::access_log(rondo::detail::function<void(const access&)> fn) {
    routes_->log = std::move(fn);
    return *this;
}

namespace {

/// "/static/" and "/static" name one prefix, "/" the whole site.
std::string prefix_of(std::string_view path) {
    while (path.ends_with('/')) path.remove_suffix(1);
    return std::string(path);
}

task<reply> redirect_into(http::request& to) {
    std::string where(to.path());
    where += '/';
    const std::string_view target = to.target();
    if (const auto query = target.find('?'); query != target.npos) where += target.substr(query);
    co_return reply::redirect(where, 308);
}

}  // namespace

router& router::files(std::string_view prefix, std::string folder, files_options options) {
    const std::string below = prefix_of(prefix);
    auto from = std::make_shared<rondo::detail::http_folder>(std::move(folder), options);
    add("GET", below + "/{path...}", [from](http::request& to) {
        return rondo::detail::send_from_folder(*from, to, to.parameter("path"));
    });
    if (!below.empty()) add("GET", below, redirect_into);
    return *this;
}

router& router::mount(std::string_view prefix, router below) {
    const std::string path = prefix_of(prefix);
    const auto depth = static_cast<std::size_t>(std::count(path.begin(), path.end(), '/'));
    auto inner = std::make_shared<router>(std::move(below));
    add("*", path + "/{...}", [inner, depth](http::request& to) {
        to.state().mounted_at += depth;
        return inner->answer(to);
    });
    if (!path.empty()) add("*", path, redirect_into);
    return *this;
}

task<reply> router::as_task(reply made) { co_return made; }

task<reply> router::answer(http::request& to) const { return next_handler(*routes_, to)(to); }

next_handler::next_handler(const rondo::detail::http_routes& routes,
                           const http::request& to) noexcept
    : routes_(&routes),
      mounted_at_(to.state().mounted_at),
      parameter_count_(to.state().parameter_count) {}

task<reply> next_handler::operator()(http::request& to) const {
    to.state().mounted_at = mounted_at_;
    to.state().parameter_count = parameter_count_;
    if (layer_ == routes_->layers.size()) return routes_->dispatch(to);
    next_handler further = *this;
    ++further.layer_;
    return routes_->layers[layer_](to, further);
}

}  // namespace http
}  // namespace v0
}  // namespace rondo
