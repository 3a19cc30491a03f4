// SPDX-License-Identifier: MIT
// Shows a page: redirects are followed, the body is decoded, certificate and host name verified.
// Run: https_get URL [CA-FILE]
#include <exception>
#include <string>

#include <fmt/core.h>
#include <rondo/http.hpp>
#include <rondo/rondo.hpp>

rondo::task<> show(std::string url, std::string authority) {
    rondo::http::session http;
    if (!authority.empty()) http.tls(rondo::tls::client_context().trust_file(authority));
    auto response = co_await http.get(url);
    response.raise_for_status();
    const std::string text = co_await response.text();
    fmt::print("{} {} from {}\n", response.status(), response.reason(), response.url().path());
    for (const auto& hop : response.history())
        fmt::print("redirected by {} {}\n", hop.status, hop.url.path());
    fmt::print("{}", text);
}

int main(int argc, char** argv) {
    if (argc != 2 && argc != 3) {
        fmt::print(stderr, "usage: {} URL [CA-FILE]\n", argv[0]);
        return 2;
    }
    try {
        rondo::run(show(argv[1], argc == 3 ? argv[2] : ""));
    } catch (const std::exception& error) {
        fmt::print(stderr, "{}\n", error.what());
        return 1;
    }
}
