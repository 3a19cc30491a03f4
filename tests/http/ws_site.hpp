// SPDX-License-Identifier: MIT
// For tests of WebSocket on both sides: a site of handlers, and what a wait ends with.
#pragma once

#include <chrono>
#include <exception>
#include <stdexcept>
#include <string>
#include <utility>

#include <rondo/http/test_client.hpp>

#include "http/server_tools.hpp"
#include "http/ws_tools.hpp"

namespace ws_tools {

inline const std::string opening_fields =
    "upgrade: websocket\r\nconnection: keep-alive, Upgrade\r\nsec-websocket-version: 13\r\n"
    "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

inline rondo::task<> echo_back(rondo::http::websocket peer) {
    while (auto message = co_await peer.next()) {
        if (message->is_text())
            co_await peer.send_text(message->text());
        else
            co_await peer.send_binary(message->bytes());
    }
}
inline rondo::task<> greet(rondo::http::request& asked, rondo::http::websocket peer) {
    co_await peer.send_text("hello " + std::string(asked.parameter("name")));
    co_await peer.close(4000, "that was all");
}
inline rondo::task<> say_nothing(rondo::http::websocket peer) { co_await peer.closed(); }
inline rondo::task<> take_nothing(rondo::http::websocket peer) {
    co_await rondo::sleep(std::chrono::hours(1));
    co_await peer.close();
}
inline rondo::task<> fail_soon(rondo::http::websocket peer) {
    co_await peer.next();
    throw std::runtime_error("the handler failed");
}
inline rondo::task<> leave_soon(rondo::http::websocket) { co_return; }

inline rondo::http::router make_chat() {
    rondo::http::router site;
    site.websocket("/echo", echo_back);
    site.websocket("/hello/{name}", greet);
    site.websocket("/nothing", say_nothing);
    site.websocket("/deaf", take_nothing);
    site.websocket("/fail", fail_soon);
    site.websocket("/leave", leave_soon);
    site.websocket("/small", echo_back, {.message_bytes = 100});
    site.websocket("/patient", echo_back,
                   {.ping_after = std::chrono::seconds(1), .ping_limit = std::chrono::seconds(2)});
    return site;
}

/// "1002: the peer …", what a wait throws; "nothing" if it does not.
template <class Awaitable>
rondo::task<std::string> error_of(Awaitable waiting) {
    try {
        static_cast<void>(co_await std::move(waiting));
    } catch (const rondo::http::websocket_error& error) {
        co_return std::to_string(error.code()) + ": " + error.what();
    } catch (const std::exception& error) {
        co_return error.what();
    }
    co_return "nothing";
}

inline rondo::task<std::string> text_of(rondo::http::websocket& from) {
    auto message = co_await from.next();
    if (!message) co_return "(end)";
    co_return std::move(*message).text();
}

inline std::string head_of(const std::string& reply) {
    return reply.substr(0, reply.find("\r\n\r\n"));
}

/// Says `bytes` to the echo of `site` after the opening, and hears what comes after the head.
inline rondo::task<std::string> answer_to(const rondo::http::router& site, std::string path,
                                          std::string bytes) {
    rondo_tests::memory_server server(site);
    std::string heard;
    co_await server.run([&](rondo_tests::raw_client& client) -> rondo::task<> {
        co_await client.say(rondo_tests::get(path, opening_fields) + bytes);
        heard = rondo_tests::body_of(co_await client.hear(std::chrono::milliseconds(2500)));
    });
    co_return heard;
}

}  // namespace ws_tools
