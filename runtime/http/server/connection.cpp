// SPDX-License-Identifier: MIT
// The life of a connection: its bytes, and the version of HTTP that they speak.
#include "http/server/connection.hpp"

#include <exception>

#include <rondo/cancel.hpp>
#include <rondo/serve.hpp>

#include "http/server/h1_connection.hpp"
#include "http/server/h2_connection.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

void tell_end(void* link) noexcept {
    if (auto* const listener = static_cast<http_link*>(link)->connection)
        listener->peer_has_ended();
}

}  // namespace

task<> http_link::skip_rest() {
    std::uint64_t left = skipped_bytes;
    while (!input.has_ended() && input.unread.size() <= left) {
        left -= input.unread.size();
        input.release();
        while (!input.is_ready()) co_await input.wait();
        if (input.is_stopped()) break;
    }
}

task<> serve_http(std::shared_ptr<http_server> server, std::unique_ptr<http_server_stream> stream) {
    http_link link(std::move(stream));
    children group("an HTTP connection", children::others::go_on);
    auto first = std::make_unique<h1_server_connection>(*server, link, group);
    std::unique_ptr<h2_server_connection> second;
    try {
        group.start(link.input.read_all(tell_end, &link));
        co_await first->run();
        if (first->has_found_http2()) {
            const std::string preface = first->first_bytes();
            first.reset();
            second = std::make_unique<h2_server_connection>(*server, link, group);
            co_await second->run(preface);
        }
    } catch (const cancelled&) {
        group.stopped();
    } catch (...) {
        if (link.connection == nullptr || !link.connection->is_gone())
            group.fail(std::current_exception());
    }
    if (link.connection != nullptr) link.connection->finish();
    group.cancel();
    co_await group.ended();
    group.rethrow_but_own_cancel();
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
