// SPDX-License-Identifier: MIT
// Finding the route of a request.
#include "http/server/routes.hpp"

#include <algorithm>

#include <rondo/http/url.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

constexpr std::size_t parameters_max = 32;

/// "{name}" or "{name...}".
bool is_parameter(std::string_view segment) {
    return segment.size() > 2 && segment.front() == '{' && segment.back() == '}';
}

[[noreturn]] void refuse_route(std::string_view path, const char* why) {
    throw http::error("the route \"" + std::string(path) + "\": " + why);
}

http_route_node& child_of(std::unique_ptr<http_route_node>& place) {
    if (!place) place = std::make_unique<http_route_node>();
    return *place;
}

http_route_node& literal_of(http_route_node& node, std::string_view segment) {
    for (auto& [text, child] : node.literals)
        if (text == segment) return *child;
    node.literals.emplace_back(segment, std::make_unique<http_route_node>());
    return *node.literals.back().second;
}

/// Adds the methods of a node to "GET, HEAD".
void add_methods(std::string& to, const http_route_node& node) {
    const auto add = [&to](std::string_view method) {
        if (("," + to + ",").find(std::string(", ") + std::string(method) + ",") !=
            std::string::npos)
            return;
        if (to.find(method) == 0 && (to.size() == method.size() || to[method.size()] == ','))
            return;
        to += (to.empty() ? "" : ", ") + std::string(method);
    };
    for (const http_route_entry& each : node.entries) {
        if (each.method == "*") continue;
        add(each.method);
        if (each.method == "GET") add("HEAD");
    }
    if (!node.entries.empty()) add("OPTIONS");
}

bool decode_segment(std::string_view raw, std::string& into) {
    auto decoded = http::percent_decode(raw);
    if (!decoded) return false;
    into = std::move(*decoded);
    return true;
}

}  // namespace

const http_route_entry* http_route_node::entry(std::string_view method) const noexcept {
    const http_route_entry* found = nullptr;
    for (const http_route_entry& each : entries) {
        if (each.method == method) return &each;
        if (each.method == "GET" && method == "HEAD") found = &each;
        if (each.method == "*" && found == nullptr) found = &each;
    }
    return found;
}

void http_routes::add(std::string_view method, std::string_view path, http_handler handler) {
    if (method != "*" && !http::is_token(method)) refuse_route(path, "its method is no token");
    if (path.empty() || path.front() != '/') refuse_route(path, "a path begins with '/'");
    http_route_entry entry{std::string(method), {}, std::move(handler)};
    http_route_node* node = &root;
    for (std::string_view left = path.substr(1);;) {
        const std::size_t end = std::min(left.find('/'), left.size());
        std::string_view segment = left.substr(0, end);
        const bool is_last = end == left.size();
        if (is_parameter(segment)) {
            segment = segment.substr(1, segment.size() - 2);
            const bool is_rest = segment.ends_with("...");
            if (is_rest) segment.remove_suffix(3);
            if (is_rest && !is_last) refuse_route(path, "nothing can follow the rest of a path");
            if (std::find(entry.names.begin(), entry.names.end(), segment) != entry.names.end())
                refuse_route(path, "two of its parameters have one name");
            if (entry.names.size() == parameters_max) refuse_route(path, "too many parameters");
            entry.names.emplace_back(segment);
            node = &child_of(is_rest ? node->rest : node->parameter);
        } else {
            if (segment.find_first_of("{}") != segment.npos)
                refuse_route(path, "a parameter is a whole segment: {name} or {name...}");
            if ((segment.empty() && !is_last) || segment == "." || segment == "..")
                refuse_route(path, "a segment is empty, \".\" or \"..\"");
            node = &literal_of(*node, segment);
        }
        if (is_last) break;
        left.remove_prefix(end + 1);
    }
    for (const http_route_entry& each : node->entries)
        if (each.method == method) refuse_route(path, "it exists already");
    node->entries.push_back(std::move(entry));
}

bool split_path(http_server_request& request) {
    request.segments.clear();
    request.decoded.clear();
    std::string_view left = request.path;
    if (left.empty() || left.front() != '/') return false;
    left.remove_prefix(1);
    // Room first, so that views of the decoded ones stay good.
    if (left.find('%') != left.npos)
        request.decoded.reserve(
            static_cast<std::size_t>(std::count(left.begin(), left.end(), '/')) + 1);
    for (;;) {
        const std::size_t end = std::min(left.find('/'), left.size());
        std::string_view segment = left.substr(0, end);
        const bool is_last = end == left.size();
        if (segment.find('%') != segment.npos) {
            request.decoded.emplace_back();
            if (!decode_segment(segment, request.decoded.back())) return false;
            segment = request.decoded.back();
        }
        if ((segment.empty() && !is_last) || segment == "." || segment == ".." ||
            segment.find('\0') != segment.npos)
            return false;
        request.segments.push_back(segment);
        if (is_last) return true;
        left.remove_prefix(end + 1);
    }
}

struct http_routes::search {
    search(const http_server_request& of, std::string& methods) noexcept
        : request(of), allowed(methods) {}
    const http_server_request& request;
    std::string& allowed;
    std::size_t captured[parameters_max];  // segments that stand for parameters
    std::size_t captured_count = 0;
    std::size_t rest_at = 0;
    bool has_rest = false;
};

/// A node of depth n is visited for segment n alone, so that a search costs no more than the number
/// of nodes.
const http_route_entry* http_routes::find(search& in, const http_route_node& at,
                                          std::size_t index) {
    const auto& segments = in.request.segments;
    if (index == segments.size()) {
        const http_route_entry* const entry = at.entry(in.request.method);
        if (entry == nullptr && !at.entries.empty()) add_methods(in.allowed, at);
        return entry;
    }
    for (const auto& [text, child] : at.literals) {
        if (text != segments[index]) continue;
        if (const http_route_entry* const found = find(in, *child, index + 1)) return found;
    }
    if (at.parameter && !segments[index].empty() && in.captured_count < parameters_max) {
        in.captured[in.captured_count++] = index;
        if (const http_route_entry* const found = find(in, *at.parameter, index + 1)) return found;
        --in.captured_count;
    }
    if (!at.rest) return nullptr;
    const http_route_entry* const entry = at.rest->entry(in.request.method);
    const auto has_slash = [](std::string_view s) { return s.find('/') != s.npos; };
    const auto begin = segments.begin() + static_cast<std::ptrdiff_t>(index);
    const bool is_joined = entry == nullptr || !entry->is_mount();
    if (is_joined && std::any_of(begin, segments.end(), has_slash)) return nullptr;
    if (entry == nullptr) {
        add_methods(in.allowed, *at.rest);
        return nullptr;
    }
    in.has_rest = true;
    in.rest_at = index;
    return entry;
}

const http_route_entry* http_routes::match(http_server_request& request,
                                           std::string& allowed) const {
    search in(request, allowed);
    const http_route_entry* const entry = find(in, root, request.mounted_at);
    if (entry == nullptr) return nullptr;
    const std::size_t count = entry->names.size() - (entry->is_mount() ? 1 : 0);
    for (std::size_t i = 0; i < count; ++i) {
        if (request.parameters.size() == request.parameter_count)
            request.parameters.emplace_back();
        auto& [name, value] = request.parameters[request.parameter_count++];
        name = entry->names[i];
        value.clear();
        if (i < in.captured_count) {
            value = request.segments[in.captured[i]];
            continue;
        }
        for (std::size_t at = in.rest_at; at < request.segments.size(); ++at) {
            if (at != in.rest_at) value += '/';
            value += request.segments[at];
        }
    }
    return entry;
}

namespace {

task<http::reply> answer_unrouted(const http_routes& routes, http::request& request,
                                  std::string allowed) {
    if (allowed.empty()) {
        if (routes.missing) co_return co_await routes.missing(request);
        co_return http::reply::status(404);
    }
    const int status = request.method() == "OPTIONS" ? 204 : 405;
    http::reply made = http::reply::status(status);
    made.header("allow", allowed);
    co_return made;
}

}  // namespace

task<http::reply> http_routes::dispatch(http::request& to) const {
    http_server_request& request = to.state();
    std::string allowed;
    if (request.mounted_at == 0 && request.target == "*") {
        allowed = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
    } else if (request.mounted_at != 0 || split_path(request)) {
        if (const http_route_entry* const found = match(request, allowed))
            return found->handler(to);
    }
    return answer_unrouted(*this, to, std::move(allowed));
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
