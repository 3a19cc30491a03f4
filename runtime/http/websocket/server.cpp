// SPDX-License-Identifier: MIT
// The server's side: the route, and the handler with its connection.
#include <memory>
#include <utility>

#include <rondo/cancel.hpp>
#include <rondo/http/router.hpp>

#include "http/server/exchange.hpp"
#include "http/server/reply_source.hpp"
#include "http/server/server.hpp"
#include "http/websocket/core.hpp"
#include "http/websocket/handshake.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

namespace ws = http::ws;

struct websocket_route {
    websocket_handler handler;
    ws::policy allowed;
    websocket_core::setup setup;
};

websocket_core::setup setup_of(const http::websocket_options& options) {
    websocket_core::setup how;
    how.engine.message_bytes = options.message_bytes;
    how.engine.compress_from = options.compress_from;
    how.ping_after = options.ping_after;
    how.ping_limit = options.ping_limit;
    how.write_limit = options.write_limit;
    return how;
}

/// Runs the handler, and closes the socket after it.
/// Throws: what the handler throws, unless the peer's end is the reason.
task<> serve_websocket(std::shared_ptr<websocket_route> route, ws::agreement made,
                       http::request* opening, http_transport* transport) {
    websocket_core::setup how = route->setup;
    how.engine.deflate = made.deflate;
    how.subprotocol = std::move(made.subprotocol);
    const auto core = std::make_shared<websocket_core>(*transport, std::move(how));
    children group("a WebSocket's handler", children::others::go_on);
    std::exception_ptr error;
    bool is_peers = false;
    try {
        group.start(core->run());
        if (opening->state().server->is_ending) core->begin_end();  // since the request came
        auto handling = route->handler(*opening, http::websocket(core));
        co_await std::move(handling);
    } catch (const cancelled&) {
        group.stopped();
        group.cancel();
    } catch (const http::websocket_error&) {
        is_peers = core->was_ended();
        error = std::current_exception();
    } catch (...) {
        error = std::current_exception();
    }
    core->close_or_cut(error ? ws::code::internal : ws::code::normal);
    core->release();
    co_await group.ended();
    core->over();
    group.rethrow_but_own_cancel();
    if (error && !is_peers) std::rethrow_exception(error);
}

task<http::reply> open_websocket(std::shared_ptr<websocket_route> route, http::request* asked) {
    http::fields answer;
    ws::agreement made;
    auto refused = ws::read_request(*asked, route->allowed, answer, made);
    if (!refused && !asked->state().exchange->can_upgrade())
        refused = http::reply::text("this connection cannot switch to WebSocket\n", 501);
    if (refused) co_return std::move(*refused);
    std::unique_ptr<reply_source, reply_source_deleter> source(new reply_source);
    source->upgrade = [route = std::move(route), made = std::move(made),
                       asked](http_transport& transport) mutable {
        return serve_websocket(std::move(route), std::move(made), asked, &transport);
    };
    http::reply switching = http::reply::of_source(std::move(source), 101, {});
    for (const auto& [name, value] : answer) switching.header(name, value);
    co_return switching;
}

}  // namespace
}  // namespace detail

namespace http {

router& router::add_websocket(std::string_view path, rondo::detail::websocket_handler handler,
                              websocket_options options) {
    ws::require_wslay();
    auto route = std::make_shared<rondo::detail::websocket_route>();
    route->handler = std::move(handler);
    route->allowed = {std::string(options.origins), std::string(options.subprotocols),
                      options.compression, options.context_takeover};
    route->setup = rondo::detail::setup_of(options);
    return add("GET", path, [route](http::request& to) {
        return rondo::detail::open_websocket(route, &to);
    });
}

}  // namespace http
}  // namespace v0
}  // namespace rondo
