// SPDX-License-Identifier: MIT
// For tests of the server: a connection of memory, on which a test says every byte.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <rondo/http.hpp>
#include <rondo/memory_stream.hpp>
#include <rondo/race.hpp>
#include <rondo/sleep.hpp>

#include "http/server/server.hpp"
#include "support/rondo_test.hpp"

namespace rondo_tests {

/// The client's end of a connection.
class raw_client {
public:
    explicit raw_client(rondo::memory_stream stream) : stream_(std::move(stream)) {}

    rondo::task<> say(std::string bytes) { co_await stream_.write_all(bytes); }
    rondo::task<> end() { co_await stream_.shutdown_write(); }
    void hang_up() { stream_.close(); }

    /// The words of the server until it is silent for 10 ms, or has closed: "...(closed)".
    rondo::task<std::string> hear(rondo::duration quiet = std::chrono::milliseconds(10)) {
        std::string all;
        std::vector<char> buffer(65536);
        for (;;) {
            const auto came = co_await rondo::move_on_after(quiet, stream_.read_some(buffer));
            if (!came) co_return without_date(all);
            if (!*came) break;
            all += came->text();
        }
        co_return without_date(all) + "(closed)";
    }
    /// Says it and hears the answer.
    rondo::task<std::string> ask(std::string bytes) {
        co_await say(std::move(bytes));
        co_return co_await hear();
    }
    rondo::memory_stream& stream() noexcept { return stream_; }

private:
    static std::string without_date(std::string text) {
        for (;;) {
            const auto at = text.find("date: ");
            if (at == text.npos) return text;
            text.erase(at, text.find("\r\n", at) + 2 - at);
        }
    }

    rondo::memory_stream stream_;
};

/// A server that serves connections of memory.
class memory_server {
public:
    explicit memory_server(const rondo::http::router& site,
                           rondo::http::server_options options = {},
                           rondo::memory_stream_options pipe = {})
        : server_(rondo::detail::make_http_server(site, options)), pipe_(pipe) {}

    /// Runs `client` with a connection; ends when the client does.
    template <class Client>
    rondo::task<> run(Client client) {
        auto [near, far] = rondo::memory_stream::pair(pipe_);
        raw_client raw(std::move(near));
        using stream = rondo::detail::http_stream_of<rondo::memory_stream>;
        auto serving = serve(std::make_unique<stream>(std::move(far)));
        auto asking = client(raw);
        co_await rondo::race(std::move(serving), std::move(asking));
    }
    void begin_end() { rondo::detail::end_http_server(*server_); }
    void cut_off() { rondo::detail::cut_off_connections(*server_); }
    /// True when the connection's task has ended by itself.
    bool has_ended = false;

private:
    rondo::task<> serve(std::unique_ptr<rondo::detail::http_server_stream> stream) {
        co_await rondo::detail::serve_http(server_, std::move(stream));
        has_ended = true;
        co_await rondo::sleep(std::chrono::hours(9));  // the client decides when it is over
    }

    std::shared_ptr<rondo::detail::http_server> server_;
    rondo::memory_stream_options pipe_;
};

/// All that a server says to `bytes`, which are sent at once.
inline rondo::task<std::string> said_to(const rondo::http::router& site, std::string bytes,
                                        rondo::http::server_options options = {}) {
    memory_server server(site, options);
    std::string all;
    co_await server.run([&](raw_client& client) -> rondo::task<> {
        co_await client.say(std::move(bytes));
        all = co_await client.hear(std::chrono::milliseconds(1500));
    });
    co_return all;
}

/// "GET PATH HTTP/1.1" with a host, and fields that end with CR LF.
inline std::string get(std::string_view path, std::string_view fields = "",
                       std::string_view method = "GET") {
    return std::string(method) + ' ' + std::string(path) + " HTTP/1.1\r\nhost: x\r\n" +
           std::string(fields) + "\r\n";
}
inline std::string post(std::string_view path, std::string_view body,
                        std::string_view fields = "") {
    return get(path,
               std::string(fields) + "content-length: " + std::to_string(body.size()) + "\r\n",
               "POST") +
           std::string(body);
}
/// The status of a reply; 0 if there is none.
inline int code_of(std::string_view reply) {
    return reply.starts_with("HTTP/1.1 ") ? std::stoi(std::string(reply.substr(9, 3))) : 0;
}
inline std::string body_of(const std::string& reply) {
    const auto at = reply.find("\r\n\r\n");
    return at == reply.npos ? "(no head)" : reply.substr(at + 4);
}

/// Handlers for tests of the server over any version of HTTP.
namespace handlers {

using rondo::task;
using rondo::http::reply;
using rondo::http::request;

inline task<reply> hello(request& asked) {
    co_return reply::text("hello " + std::string(asked.parameter("name")) + "\n");
}
inline task<reply> count(request& asked) {
    std::size_t bytes = 0;
    while (auto chunk = co_await asked.read_some()) bytes += chunk.size();
    co_return reply::text(std::to_string(bytes) + " bytes\n");
}
inline task<reply> echo(request& asked) {
    std::string body = co_await asked.text();
    co_return reply::text(std::move(body));
}
inline reply quick(request&) { return reply::text("quick"); }
inline task<reply> slow(request&) {
    co_await rondo::sleep(std::chrono::seconds(1));
    co_return reply::text("slow");
}
inline task<reply> broken(request&) {
    throw std::runtime_error("the password is secret");
    co_return reply();
}

}  // namespace handlers

/// A site of them.
inline rondo::http::router plain_site() {
    rondo::http::router site;
    site.get("/hello/{name}", handlers::hello);
    site.post("/count", handlers::count);
    site.post("/echo", handlers::echo);
    site.get("/quick", handlers::quick);
    site.get("/slow", handlers::slow);
    site.get("/broken", handlers::broken);
    site.post("/ignore", handlers::quick);
    return site;
}

}  // namespace rondo_tests
