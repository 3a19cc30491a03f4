// SPDX-License-Identifier: MIT
// Shows splice: a proxy that moves the bytes of both directions inside the kernel. If one side
// shuts down writing, the proxy does the same on the other side.
// Run: proxy OWN-PORT HOST PORT
#include <cstdint>
#include <cstdlib>
#include <string>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

rondo::task<> pass_on(rondo::tcp_stream& from, rondo::tcp_stream& to) {
    co_await rondo::splice(from, to);
    co_await to.shutdown_write();
}

class proxy {
public:
    proxy(std::string host, std::uint16_t port) : host_(std::move(host)), port_(port) {}
    rondo::task<> operator()(rondo::tcp_stream client) const {
        return serve(std::move(client), host_, port_);
    }

private:
    static rondo::task<> serve(rondo::tcp_stream client, std::string host, std::uint16_t port) {
        auto server = co_await rondo::connect_tcp(std::move(host), port);
        co_await rondo::gather(pass_on(client, server), pass_on(server, client));
    }
    std::string host_;
    std::uint16_t port_;
};

int main(int argc, char** argv) {
    if (argc != 4) {
        fmt::print(stderr, "usage: {} OWN-PORT HOST PORT\n", argv[0]);
        return 2;
    }
    const auto own = static_cast<std::uint16_t>(std::atoi(argv[1]));
    const auto port = static_cast<std::uint16_t>(std::atoi(argv[3]));
    rondo::run(rondo::serve(rondo::tcp_listener::bind({"127.0.0.1", own}), proxy(argv[2], port)));
}
