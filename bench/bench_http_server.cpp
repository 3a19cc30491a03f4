// SPDX-License-Identifier: MIT
// The HTTP server of rondo in the cases of compare_http.py; its peers serve the same:
//
//     http_server PORT TLS_PORT FOLDER
//
// "/hello" is 13 bytes of text, also after a body that was sent there; all else is a file of
// FOLDER. FOLDER/../chain.pem and key.pem are its certificate. HTTP/1.1 and HTTP/2, on one thread.
#include <cstdlib>
#include <string>

#include <rondo/http.hpp>
#include <rondo/rondo.hpp>
#include <rondo/tls_listener.hpp>

namespace {

using namespace rondo;

task<> serve_both(std::uint16_t port, std::uint16_t secure, std::string folder) {
    http::router site;
    site.get("/hello", [](http::request&) { return http::reply::text("Hello, world\n"); });
    site.post("/hello", [](http::request& request) -> task<http::reply> {
        co_await request.text();
        co_return http::reply::text("Hello, world\n");
    });
    site.files("/", folder);
    auto plain = tcp_listener::bind({"127.0.0.1", port});
    const tls::server_context identity(folder + "/../chain.pem", folder + "/../key.pem");
    auto encrypted = tls_listener::bind({"127.0.0.1", secure}, identity);
    auto first = http::serve(std::move(plain), site);
    auto second = http::serve(std::move(encrypted), site);
    co_await gather(std::move(first), std::move(second));
}

}  // namespace

int main(int, char** arguments) {
    const auto port = static_cast<std::uint16_t>(std::atoi(arguments[1]));
    const auto secure = static_cast<std::uint16_t>(std::atoi(arguments[2]));
    run(serve_both(port, secure, arguments[3]));
}
