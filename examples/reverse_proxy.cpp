// SPDX-License-Identifier: MIT
// A reverse proxy: passes requests on to another server, both bodies as they come, in constant
// memory. A client that leaves cancels the request behind.
// Run: reverse_proxy PORT http://UPSTREAM
#include <cstdlib>
#include <string>
#include <string_view>

#include <fmt/core.h>
#include <rondo/http.hpp>
#include <rondo/rondo.hpp>

namespace http = rondo::http;

/// Fields that belong to one connection (RFC 9110, section 7.6.1), and those that the sender
/// decides.
bool is_passed_on(const http::fields& all, std::string_view name) {
    for (const std::string_view own : {"connection", "keep-alive", "te", "upgrade", "host",
                                       "transfer-encoding", "content-length", "proxy-connection"})
        if (http::same_word(name, own)) return false;
    return !all.has_token("connection", name);
}

/// The body of a request as a stream that can be sent.
class upload {
public:
    explicit upload(http::request& from) : from_(&from) {}
    rondo::task<rondo::chunk> read_some(rondo::buffer_view into) { return from_->read_some(into); }

private:
    http::request* from_;
};

rondo::task<> pass_back(http::response& from, http::body_writer& to) {
    while (auto chunk = co_await from.read_some()) co_await to.write_all(chunk);
}

rondo::task<http::reply> pass_on(http::session& upstream, http::request& request) {
    auto asked = upstream.request(request.method(), request.target());
    asked.redirects(0).decode(false);
    for (const auto& [name, value] : request.headers())
        if (is_passed_on(request.headers(), name)) asked.header(name, value);
    asked.header("x-forwarded-for", request.remote().address());
    if (request.content_length() != 0U) asked.body(upload(request));
    try {
        auto response = co_await asked;
        const http::fields headers = response.headers();
        const int status = response.status();
        auto made = http::reply::stream("application/octet-stream", pass_back, std::move(response));
        made.set_status(status).headers().clear();
        for (const auto& [name, value] : headers)
            if (is_passed_on(headers, name)) made.headers().add(name, value);
        co_return made;
    } catch (const std::exception& error) {
        fmt::print(stderr, "{}\n", error.what());
    }
    throw http::reply_error(502);
}

int main(int argc, char** argv) {
    if (argc != 3) {
        fmt::print(stderr, "usage: {} PORT http://UPSTREAM\n", argv[0]);
        return 2;
    }
    const auto port = static_cast<std::uint16_t>(std::atoi(argv[1]));
    http::session_options options;
    options.connections_per_host = 100;
    options.cookies = false;
    http::session upstream(argv[2], options);
    http::router site;
    site.route("*", "/{path...}", pass_on, std::ref(upstream));
    rondo::run(http::serve(rondo::tcp_listener::bind({"127.0.0.1", port}), site));
}
