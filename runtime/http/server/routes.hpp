// SPDX-License-Identifier: MIT
// The tree behind a router: one node for each segment of a path.
#pragma once

#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <rondo/http/router.hpp>

#include "http/server/exchange.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

/// A handler of a method, and the names of the parameters on the way to it.
struct http_route_entry {
    std::string method;
    std::vector<std::string> names;
    mutable http_handler handler;

    /// True for the unnamed rest, which a mounted router looks at segment by segment.
    bool is_mount() const noexcept { return !names.empty() && names.back().empty(); }
};

struct http_route_node {
    std::vector<std::pair<std::string, std::unique_ptr<http_route_node>>> literals;
    std::unique_ptr<http_route_node> parameter;
    std::unique_ptr<http_route_node> rest;
    std::vector<http_route_entry> entries;

    /// The entry for a method: its own, GET's for HEAD, that of any method.
    const http_route_entry* entry(std::string_view method) const noexcept;
};

struct http_routes {
    http_route_node root;
    mutable std::vector<function<task<http::reply>(http::request&, http::next_handler)>> layers;
    mutable http_handler missing;
    mutable function<task<http::reply>(http::request&, std::exception_ptr)> on_error;
    mutable function<void(const http::access&)> log;

    /// Adds a route. Throws: http::error.
    void add(std::string_view method, std::string_view path, http_handler handler);
    /// The reply of the route, or 404, 405 and the answer to OPTIONS.
    task<http::reply> dispatch(http::request& to) const;

private:
    struct search;
    static const http_route_entry* find(search& in, const http_route_node& at, std::size_t index);
    const http_route_entry* match(http_server_request& request, std::string& allowed) const;
};

/// Splits a path and decodes its segments. Returns: false if no file and no route can have it: a
/// malformed escape, an empty segment, ".", "..", or a NUL.
bool split_path(http_server_request& request);

}  // namespace detail
}  // namespace v0
}  // namespace rondo
