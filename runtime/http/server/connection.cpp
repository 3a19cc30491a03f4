// SPDX-License-Identifier: MIT
// The life of a connection: its bytes, and the version of HTTP that they speak.
#include "http/server/connection.hpp"

#include <exception>

#include <rondo/cancel.hpp>
#include <rondo/serve.hpp>

#include "http/server/h1_connection.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

void tell_end(void* link) noexcept {
    if (auto* const listener = static_cast<http_link*>(link)->connection)
        listener->peer_has_ended();
}

}  // namespace

task<> serve_http(std::shared_ptr<http_server> server, std::unique_ptr<http_server_stream> stream) {
    http_link link(std::move(stream));
    children group("an HTTP connection", children::others::go_on);
    h1_server_connection connection(*server, link, group);
    try {
        group.start(link.input.read_all(tell_end, &link));
        co_await connection.run();
    } catch (const cancelled&) {
        group.stopped();
    } catch (...) {
        if (!connection.is_gone()) group.fail(std::current_exception());
    }
    connection.finish();
    group.cancel();
    co_await group.ended();
    group.rethrow_but_own_cancel();
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
