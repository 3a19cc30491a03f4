// SPDX-License-Identifier: MIT
// HTTP, a library of its own, librondo-http: `pkg-config --libs rondo-http`.
//
//     rondo::http::session http;
//     auto response = co_await http.get("https://example.org/");
//     response.raise_for_status();
//     std::string page = co_await response.text();
//
//     rondo::http::router site;
//     site.get("/hello", hello);                        // task<http::reply> hello(http::request&)
//     co_await rondo::http::serve(rondo::tcp_listener::bind({"127.0.0.1", 8080}), site);
//
//     http/session.hpp          the client: connections, cookies, defaults
//     http/request_builder.hpp  what to send; awaiting it sends it
//     http/response.hpp         what came back
//     http/server.hpp           the server: http::serve
//     http/router.hpp           which handler answers what
//     http/request.hpp, http/reply.hpp   what a handler gets and gives
//     http/websocket.hpp        WebSocket, both sides
//     http/server_event.hpp, http/trace.hpp
//     http/url.hpp, http/fields.hpp, http/error.hpp
// Not included here:
//     http/middleware.hpp       around handlers
//     http/test_client.hpp      requests without a socket
//     http/json.hpp             bodies in JSON
//     http/range.hpp, http/disposition.hpp, http/date.hpp   values of header fields
#pragma once

#include <rondo/http/error.hpp>
#include <rondo/http/fields.hpp>
#include <rondo/http/reply.hpp>
#include <rondo/http/request.hpp>
#include <rondo/http/request_builder.hpp>
#include <rondo/http/response.hpp>
#include <rondo/http/router.hpp>
#include <rondo/http/server.hpp>
#include <rondo/http/session.hpp>
#include <rondo/http/url.hpp>
#include <rondo/http/websocket.hpp>
