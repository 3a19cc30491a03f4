// SPDX-License-Identifier: MIT
// For run_websocket_peers.py: an echo of WebSocket, and a client that asks one.
// Run: websocket_peer serve PORT       or: websocket_peer ask URL
#include <cstdlib>
#include <string>
#include <string_view>

#include <fmt/core.h>
#include <rondo/http.hpp>
#include <rondo/rondo.hpp>

namespace http = rondo::http;

rondo::task<> echo(http::websocket peer) {
    while (auto message = co_await peer.next()) {
        if (message->is_text())
            co_await peer.send_text(message->text());
        else
            co_await peer.send_binary(message->bytes());
    }
}

rondo::task<> serve(std::uint16_t port) {
    http::router site;
    site.websocket("/echo", echo, {.subprotocols = "echo"});
    site.websocket("/context", echo, {.context_takeover = true, .compress_from = 1});
    site.websocket("/small", echo, {.message_bytes = 1000});
    co_await http::serve(rondo::tcp_listener::bind({"127.0.0.1", port}), site);
}

rondo::task<bool> comes_back(http::websocket& socket, std::string message, bool is_text) {
    if (is_text)
        co_await socket.send_text(message);
    else
        co_await socket.send_binary(message);
    auto answer = co_await socket.next();
    co_return answer && answer->is_text() == is_text && answer->bytes() == message;
}

rondo::task<> ask(std::string url, http::websocket_options options) {
    http::session web;
    auto wish = web.websocket(url).subprotocol("other").subprotocol("echo");
    auto socket = co_await wish.options(options);
    fmt::print("{} {}", socket.subprotocol(), socket.is_compressed() ? "compressed" : "plain");
    for (const std::size_t size : {0U, 1U, 125U, 126U, 65535U, 65536U, 1000000U}) {
        const bool text = co_await comes_back(socket, std::string(size, 'a'), true);
        const bool bytes = co_await comes_back(socket, std::string(size, '\xff'), false);
        fmt::print(" {}", text && bytes ? "ok" : "WRONG");
    }
    co_await socket.send_text("close 4321 enough");
    try {
        co_await socket.next();
    } catch (const http::websocket_error& error) {
        fmt::print(" {} {}\n", error.code(), socket.close_reason());
    }
}

int main(int argc, char** argv) {
    if (argc < 3) return 2;
    const std::string_view what = argv[1];
    if (what == "serve") {
        rondo::run(serve(static_cast<std::uint16_t>(std::atoi(argv[2]))));
        return 0;
    }
    rondo::run(ask(argv[2], {.compression = false}));
    rondo::run(ask(argv[2], {}));
    rondo::run(ask(argv[2], {.context_takeover = true, .compress_from = 1}));
}
