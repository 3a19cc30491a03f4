// SPDX-License-Identifier: MIT
// Routes of a server: which handler answers which method and path.
//
//     http::router site;
//     site.get("/", home);                          // task<http::reply> home(http::request&)
//     site.get("/users/{id}", user);                // request.parameter("id")
//     site.put("/files/{path...}", upload);         // the rest of the path, with its slashes
//     site.files("/static", "public");              // the files of a folder
//     site.websocket("/chat", chat);                // task<> chat(http::websocket)
//     site.use(http::compress());                   // around all routes
//
// A literal segment wins over a parameter, and a parameter over the rest. Segments are decoded
// after the path was split, so "%2F" is a character of a parameter and no separator. A path with
// an empty segment ("//"), "." or ".." is 404. HEAD is answered by GET's handler; OPTIONS and 405
// list the methods that the path has.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include <rondo/config.hpp>
#include <rondo/http/reply.hpp>
#include <rondo/http/request.hpp>
#include <rondo/http/websocket.hpp>
#include <rondo/task.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {
struct http_routes;
struct http_route_found;
using http_handler = function<task<http::reply>(http::request&)>;
using websocket_handler = function<task<>(http::request&, http::websocket)>;
}  // namespace detail
namespace http {

/// The rest of the way to the handler, for middleware: `co_await next(request)`.
class RONDO_API next_handler {
public:
    task<reply> operator()(http::request& to) const;

    /// For the server: the way of `to` through `routes` from its beginning.
    next_handler(const detail::http_routes& routes, const http::request& to) noexcept;

private:
    const detail::http_routes* routes_;
    std::size_t layer_ = 0;
    // Findings of the routers around this one: a middleware may go this way twice.
    std::size_t mounted_at_;
    std::size_t parameter_count_;
};

/// An answered request, for the access log.
struct access {
    const http::request* request;
    int status;                  ///< 499 if the client went before
    std::uint64_t bytes_sent;    ///< of the body
    duration time;               ///< from the head of the request to the end of the reply
    std::chrono::system_clock::time_point when;  ///< of the end
};

/// A line as Apache's Common Log Format has it: `127.0.0.1 - ann [06/Nov/1994:08:49:37 +0000] "GET
/// / HTTP/1.1" 200 6`, without a line end.
RONDO_API std::string common_log(const access& of);
/// The same with referer and user agent.
RONDO_API std::string combined_log(const access& of);

/// Options of router::files.
struct files_options {
    std::string_view index = "index.html";  ///< of a folder; empty: none
    std::string_view cache_control{};       ///< "max-age=3600"
    bool hidden = false;                    ///< also names that begin with a dot
};
static_assert(std::is_trivially_destructible_v<files_options>);

}  // namespace http

namespace detail {

template <class F, class... Args>
concept gives_task_of_reply =
    std::is_same_v<std::invoke_result_t<F&, Args&..., http::request&>, task<http::reply>>;
template <class F, class... Args>
concept gives_reply =
    std::is_same_v<std::invoke_result_t<F&, Args&..., http::request&>, http::reply>;
template <class F, class... Args>
concept takes_websocket = std::is_invocable_r_v<task<>, F&, Args&..., http::websocket>;
template <class F, class... Args>
concept takes_request_and_websocket =
    std::is_invocable_r_v<task<>, F&, Args&..., http::request&, http::websocket>;
template <class F, class... Args>
concept is_websocket_handler =
    takes_websocket<F, Args...> || takes_request_and_websocket<F, Args...>;

template <class F, class... Args>
concept is_http_handler = std::is_invocable_v<F&, Args&..., http::request&> &&
                          (gives_task_of_reply<F, Args...> || gives_reply<F, Args...>);

}  // namespace detail

namespace http {

/// The routes of a site. Movable. Routes are added before the site is served; each setter returns
/// the router, for chaining. A router outlives `serve`. Several loops may serve one router: then
/// its handlers run on several threads.
/// Throws: (setters) http::error for a path that is malformed, or a route that exists.
/// See:    aiohttp.web.RouteTableDef, starlette.routing, axum::Router.
class RONDO_API router {
public:
    router();
    router(router&&) noexcept;
    router& operator=(router&&) noexcept;
    ~router();

    /// A handler is a function (or a member function and its object, or a function and what it
    /// gets before the request) that takes a request& and returns task<reply>, or reply if it waits
    /// for nothing. Function and arguments are kept by value.
    template <class F, class... Args>
    router& get(std::string_view path, F&& handler, Args&&... args) {
        return route("GET", path, std::forward<F>(handler), std::forward<Args>(args)...);
    }
    template <class F, class... Args>
    router& head(std::string_view path, F&& handler, Args&&... args) {
        return route("HEAD", path, std::forward<F>(handler), std::forward<Args>(args)...);
    }
    template <class F, class... Args>
    router& post(std::string_view path, F&& handler, Args&&... args) {
        return route("POST", path, std::forward<F>(handler), std::forward<Args>(args)...);
    }
    template <class F, class... Args>
    router& put(std::string_view path, F&& handler, Args&&... args) {
        return route("PUT", path, std::forward<F>(handler), std::forward<Args>(args)...);
    }
    template <class F, class... Args>
    router& patch(std::string_view path, F&& handler, Args&&... args) {
        return route("PATCH", path, std::forward<F>(handler), std::forward<Args>(args)...);
    }
    template <class F, class... Args>
    router& del(std::string_view path, F&& handler, Args&&... args) {
        return route("DELETE", path, std::forward<F>(handler), std::forward<Args>(args)...);
    }
    template <class F, class... Args>
    router& options(std::string_view path, F&& handler, Args&&... args) {
        return route("OPTIONS", path, std::forward<F>(handler), std::forward<Args>(args)...);
    }
    /// Any method; "*" means all that have no route of their own.
    template <class F, class... Args>
    router& route(std::string_view method, std::string_view path, F&& handler, Args&&... args) {
        static_assert(detail::is_http_handler<std::decay_t<F>, std::decay_t<Args>...>,
                      "a handler takes an http::request& and returns task<http::reply> or "
                      "http::reply");
        if constexpr (detail::is_http_handler<std::decay_t<F>, std::decay_t<Args>...>)
            return add(method, path, kept(std::forward<F>(handler), std::forward<Args>(args)...));
        else
            return *this;
    }

    /// Opens a WebSocket for each client that asks for one: `task<> handler(http::websocket)`, or
    /// `task<> handler(http::request&, http::websocket)`; the request is the opening one. When the
    /// handler returns, the socket is closed with 1000; if it throws, with 1011. The exception goes
    /// to the loop's exception handler, except a websocket_error after the peer's or the server's
    /// end. When the server ends, the peer gets 1001 and the handler has the grace time.
    ///
    /// A page of another site is refused (403), unless options.origins has it. Middleware is around
    /// the opening; the access log has the socket after its end, with status 101.
    /// Throws: http::error if rondo was built without wslay.
    template <class F>
    router& websocket(std::string_view path, F&& handler, websocket_options options = {}) {
        static_assert(detail::is_websocket_handler<std::decay_t<F>>,
                      "a handler of a WebSocket is task<>(http::websocket) or "
                      "task<>(http::request&, http::websocket)");
        if constexpr (detail::is_websocket_handler<std::decay_t<F>>)
            return add_websocket(path, kept_for_socket(std::forward<F>(handler)), options);
        else
            return *this;
    }
    /// The same for a member function and its object, or a function and what it gets before.
    template <class F, class... Args>
        requires(sizeof...(Args) > 0 &&
                 detail::is_websocket_handler<std::decay_t<F>, std::decay_t<Args>...>)
    router& websocket(std::string_view path, F&& handler, Args&&... args) {
        return add_websocket(
            path, kept_for_socket(std::forward<F>(handler), std::forward<Args>(args)...), {});
    }

    /// Answers GET and HEAD below `prefix` with the files of a folder: ranges, ETag, If-None-Match,
    /// If-Modified-Since, the index of a folder. Nothing outside of the folder can be reached, also
    /// not by a symbolic link. Names that begin with a dot do not exist.
    router& files(std::string_view prefix, std::string folder, files_options options = {});
    /// Puts the routes of another router below `prefix`, with their middleware around them.
    router& mount(std::string_view prefix, router below);

    /// Puts a function around all handlers: `task<reply> fn(request&, next_handler)`. The first one
    /// is the outermost. It also sees 404 and 405.
    template <class F>
        requires std::is_invocable_r_v<task<reply>, std::decay_t<F>&, http::request&, next_handler>
    router& use(F&& middleware) {
        return add_layer(detail::function<task<reply>(http::request&, next_handler)>(
            std::forward<F>(middleware)));
    }
    /// Answers requests that no route takes, instead of the server's 404.
    template <class F, class... Args>
    router& not_found(F&& handler, Args&&... args) {
        return set_not_found(kept(std::forward<F>(handler), std::forward<Args>(args)...));
    }
    /// Answers for a handler that has thrown: `task<reply> fn(request&, std::exception_ptr)`,
    /// instead of the server's report to the loop's exception handler and 500. Not for reply_error.
    template <class F>
        requires std::is_invocable_r_v<task<reply>, std::decay_t<F>&, http::request&,
                                       std::exception_ptr>
    router& on_error(F&& handler) {
        return set_on_error(detail::function<task<reply>(http::request&, std::exception_ptr)>(
            std::forward<F>(handler)));
    }
    /// Calls `fn(const access&)` after each request that was answered, on the loop's thread.
    router& access_log(detail::function<void(const access&)> fn);

    /// The reply to a request, as the server asks for it: middleware, route, 404 and 405.
    /// Throws: what the handler throws.
    task<reply> answer(http::request& to) const;

    /// For the server, which keeps them until its last connection has ended.
    std::shared_ptr<const detail::http_routes> routes() const noexcept { return routes_; }

private:
    template <class F, class... Args>
    static detail::http_handler kept(F&& fn, Args&&... args) {
        using function = std::decay_t<F>;
        if constexpr (sizeof...(Args) == 0 && detail::gives_task_of_reply<function>) {
            return detail::http_handler(std::forward<F>(fn));
        } else {
            return detail::http_handler(
                [all = std::make_tuple(function(std::forward<F>(fn)),
                                       std::decay_t<Args>(std::forward<Args>(args))...)](
                    http::request& to) mutable -> task<reply> {
                    return std::apply(
                        [&to](auto& f, auto&... a) { return as_task(std::invoke(f, a..., to)); },
                        all);
                });
        }
    }
    template <class F, class... Args>
    static detail::websocket_handler kept_for_socket(F&& fn, Args&&... args) {
        auto call = [all = std::make_tuple(std::decay_t<F>(std::forward<F>(fn)),
                                           std::decay_t<Args>(std::forward<Args>(args))...)](
                        http::request& to, http::websocket peer) mutable -> task<> {
            return std::apply(
                [&](auto& f, auto&... a) -> task<> {
                    if constexpr (detail::takes_websocket<std::decay_t<F>, std::decay_t<Args>...>)
                        return std::invoke(f, a..., std::move(peer));
                    else
                        return std::invoke(f, a..., to, std::move(peer));
                },
                all);
        };
        return detail::websocket_handler(std::move(call));
    }
    static task<reply> as_task(task<reply> made) noexcept { return made; }
    static task<reply> as_task(reply made);

    router& add(std::string_view method, std::string_view path, detail::http_handler handler);
    router& add_websocket(std::string_view path, detail::websocket_handler handler,
                          websocket_options options);
    router& add_layer(detail::function<task<reply>(http::request&, next_handler)> layer);
    router& set_not_found(detail::http_handler handler);
    router& set_on_error(detail::function<task<reply>(http::request&, std::exception_ptr)> handler);

    std::shared_ptr<detail::http_routes> routes_;
};

}  // namespace http
}  // namespace v0
}  // namespace rondo
