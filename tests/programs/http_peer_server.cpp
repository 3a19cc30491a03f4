// SPDX-License-Identifier: MIT
// A server for tests/run_http_server_peers.py: plain at PORT, over TLS at PORT + 1.
//
//     http_peer_server PORT CHAIN KEY FILE
//
// "/made/KIND/STATUS/SIZE" with any method: takes the body, and answers with the status and SIZE
// bytes of its own, of KIND text, stream, sized (a stream with a length) or file. The field x-seen
// says what came. "/hello" is for load.
#include <rondo/gather.hpp>
#include <rondo/http.hpp>
#include <rondo/rondo.hpp>
#include <rondo/tls.hpp>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>

#include <fmt/core.h>

namespace http = rondo::http;

namespace {

std::string bytes_of(std::size_t size) {
    std::string all(size, 'x');
    for (std::size_t i = 0; i < size; ++i) all[i] = static_cast<char>('a' + i % 23);
    return all;
}

rondo::task<> write_pieces(std::size_t size, http::body_writer& out) {
    const std::string all = bytes_of(size);
    for (std::size_t at = 0; at < size; at += 7777)
        co_await out.write_all(std::string_view(all).substr(at, 7777));
}

class maker {
public:
    explicit maker(std::string path) : path_(std::move(path)) {}

    rondo::task<http::reply> make(http::request& request) {
        std::uint64_t bytes = 0, sum = 0;
        while (auto chunk = co_await request.read_some()) {
            bytes += chunk.size();
            for (const char c : chunk.text()) sum += static_cast<unsigned char>(c);
        }
        const std::string kind(request.parameter("kind"));
        const int status = std::atoi(std::string(request.parameter("status")).c_str());
        const auto size = static_cast<std::size_t>(
            std::atoll(std::string(request.parameter("size")).c_str()));
        http::reply made = reply_of(kind, status, size);
        made.header("x-seen", fmt::format("{} {} {} {} {}", request.method(), request.target(),
                                          bytes, sum, request.cookie("b").value_or("-")));
        co_return made;
    }

private:
    http::reply reply_of(const std::string& kind, int status, std::size_t size) const {
        if (kind == "text") return http::reply::text(bytes_of(size), status);
        if (kind == "file") return http::reply::file(path_, "text/plain").set_status(status);
        auto made = http::reply::stream("text/plain", write_pieces, size).set_status(status);
        if (kind == "sized") made.length(size);
        return made;
    }

    std::string path_;
};

http::reply hello(http::request&) { return http::reply::text("hello"); }

rondo::task<> serve_both(std::uint16_t port, const char* chain, const char* key,
                         const http::router& site) {
    auto plain = rondo::tcp_listener::bind({"127.0.0.1", port});
    const auto where = rondo::endpoint("127.0.0.1", static_cast<std::uint16_t>(port + 1));
    auto secure = rondo::tls_listener::bind(where, rondo::tls::server_context(chain, key));
    auto first = http::serve(std::move(plain), site);
    auto second = http::serve(std::move(secure), site);
    co_await rondo::gather(std::move(first), std::move(second));
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 5) return 2;
    http::router site;
    maker makes(argv[4]);
    for (const char* method : {"GET", "POST", "PUT", "DELETE", "PATCH"})
        site.route(method, "/made/{kind}/{status}/{size}", &maker::make, &makes);
    site.get("/hello", hello);
    rondo::run(serve_both(static_cast<std::uint16_t>(std::atoi(argv[1])), argv[2], argv[3], site));
}
