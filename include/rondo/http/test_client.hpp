// SPDX-License-Identifier: MIT
// Requests to a router without a socket, for tests:
//
//     http::test_client client(site);
//     auto response = co_await client.get("/hello/Ann");
//     CHECK(co_await response.text() == "hello Ann\n");
//
// Everything is as on a connection of the kernel's, except that the bytes go through memory: both
// sides encode and parse them, and all limits hold. On the simulator time is virtual.
#pragma once

#include <string_view>

#include <rondo/config.hpp>
#include <rondo/http/router.hpp>
#include <rondo/http/server.hpp>
#include <rondo/http/session.hpp>

namespace rondo {
inline namespace v0 {
namespace http {

/// A session whose only server is a router. Paths begin with '/'.
/// Thread: its loop's.
/// See:    starlette.testclient, aiohttp.test_utils.TestClient.
class RONDO_API test_client {
public:
    /// `site` must outlive the client and its requests.
    /// Throws: no_running_loop_error.
    explicit test_client(const router& site, server_options options = {});
    test_client(const test_client&) = delete;
    test_client& operator=(const test_client&) = delete;
    /// Cancels the handlers that are still at work; they end in the next turns of the loop.
    ~test_client();

    request_builder get(std::string_view path) const { return session_.get(path); }
    request_builder head(std::string_view path) const { return session_.head(path); }
    request_builder post(std::string_view path) const { return session_.post(path); }
    request_builder put(std::string_view path) const { return session_.put(path); }
    request_builder patch(std::string_view path) const { return session_.patch(path); }
    request_builder del(std::string_view path) const { return session_.del(path); }
    request_builder options(std::string_view path) const { return session_.options(path); }
    /// Opens a WebSocket: the client's end of it.
    websocket_builder websocket(std::string_view path) const { return session_.websocket(path); }
    http::request_builder request(std::string_view method, std::string_view path) const {
        return session_.request(method, path);
    }
    /// For what is common to the requests: headers, cookies.
    http::session& session() noexcept { return session_; }

private:
    std::shared_ptr<detail::http_server> server_;
    http::session session_;
};

}  // namespace http
}  // namespace v0
}  // namespace rondo
