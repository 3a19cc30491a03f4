// SPDX-License-Identifier: MIT
// A handler takes a request and returns a reply; the router outlives serve.
#include <string>

#include <rondo/http.hpp>
#include <rondo/rondo.hpp>

namespace http = rondo::http;

std::string page(http::request&);
rondo::task<http::reply> home(http::request&);
rondo::task<> greet(std::string, http::websocket);

rondo::task<> program() {
    http::router site;
    auto listener = rondo::tcp_listener::bind({"127.0.0.1", 0});
#ifndef CONTROL
    site.get("/", page);  // expect: a handler takes an http::request& and returns
    site.websocket("/chat", greet);  // expect: a handler of a WebSocket is task<>
    // expect: the router must outlive serve: give it a name before
    co_await http::serve(std::move(listener), http::router());
#endif
    site.get("/", home);
    co_await http::serve(std::move(listener), site);
}
