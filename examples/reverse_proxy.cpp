// SPDX-License-Identifier: MIT
// A reverse proxy: passes requests on to the backend that has the fewest at work, both bodies as
// they come, in constant memory. A client that leaves cancels the request behind. Backends are
// asked once a second whether they are well; one that cannot be reached is left out until it is.
// With a certificate it speaks HTTP/2 and HTTP/1.1 to clients, and whichever a backend with https
// prefers to that.
// Run: reverse_proxy [--tls CHAIN.pem KEY.pem] PORT http://BACKEND...
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/core.h>
#include <rondo/http.hpp>
#include <rondo/rondo.hpp>
#include <rondo/tls.hpp>

using namespace std::chrono_literals;
namespace http = rondo::http;

http::session_options proxy_options() {
    http::session_options options;
    options.connections_per_host = 100;
    options.cookies = false;
    return options;
}

struct backend {
    explicit backend(std::string where) : url(std::move(where)), web(url, proxy_options()) {}

    void set_well(bool is_well_now, std::string_view why) {
        if (is_well != is_well_now)
            fmt::print("{} is {}: {}\n", url, is_well_now ? "well" : "not well", why);
        std::fflush(stdout);
        is_well = is_well_now;
    }

    std::string url;
    http::session web;
    bool is_well = true;
    int at_work = 0;
};

using backends = std::vector<std::unique_ptr<backend>>;

/// A request at work on a backend.
class place {
public:
    explicit place(backend& of) : of_(&of) { ++of.at_work; }
    place(place&& other) noexcept : of_(std::exchange(other.of_, nullptr)) {}
    ~place() {
        if (of_ != nullptr) --of_->at_work;
    }

private:
    backend* of_;
};

/// Asks a backend once a second. An answer of any kind is a sign of health, except 5xx.
rondo::task<> look_after(backend& each) {
    for (rondo::interval second(1s);; co_await second.tick()) {
        try {
            auto response = co_await each.web.head("/").redirects(0).timeout(2s);
            each.set_well(response.status() < 500, std::to_string(response.status()));
        } catch (const http::error& error) {
            each.set_well(false, error.what());
        } catch (const rondo::timeout_error& error) {
            each.set_well(false, error.what());
        }
    }
}

backend* choose(const backends& all) {
    backend* best = nullptr;
    for (const auto& each : all)
        if (each->is_well && (best == nullptr || each->at_work < best->at_work)) best = each.get();
    return best;
}

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

rondo::task<> pass_back(http::response& from, place&, http::body_writer& to) {
    while (auto chunk = co_await from.read_some()) co_await to.write_all(chunk);
}

rondo::task<http::reply> ask(backend& to, http::request& request) {
    place taken(to);
    auto asked = to.web.request(request.method(), request.target());
    asked.redirects(0).decode(false);
    for (const auto& [name, value] : request.headers())
        if (is_passed_on(request.headers(), name)) asked.header(name, value);
    asked.header("x-forwarded-for", request.remote().address());
    if (request.content_length() != 0U) asked.body(upload(request));
    auto response = co_await asked;
    const http::fields headers = response.headers();
    const int status = response.status();
    auto made = http::reply::stream("application/octet-stream", pass_back, std::move(response),
                                    std::move(taken));
    made.set_status(status).headers().clear();
    for (const auto& [name, value] : headers)
        if (is_passed_on(headers, name)) made.headers().add(name, value);
    co_return made;
}

rondo::task<http::reply> pass_on(const backends& all, http::request& request) {
    while (backend* const to = choose(all)) {
        try {
            co_return co_await ask(*to, request);
        } catch (const http::connect_error& error) {  // nothing was sent: another may do
            to->set_well(false, error.what());
        } catch (const http::error& error) {
            fmt::print(stderr, "{}\n", error.what());
            throw http::reply_error(502);
        }
    }
    throw http::reply_error(503);
}

rondo::task<> serve(std::uint16_t port, std::string_view chain, std::string_view key,
                    const backends& all) {
    http::router site;
    site.route("*", "/{path...}", pass_on, std::cref(all));
    const rondo::endpoint where("127.0.0.1", port);
    std::vector<rondo::task<>> work;
    if (chain.empty()) {
        work.push_back(http::serve(rondo::tcp_listener::bind(where), site));
    } else {
        rondo::tls::server_context identity(chain, key);
        work.push_back(http::serve(rondo::tls_listener::bind(where, identity), site));
    }
    for (const auto& each : all) work.push_back(look_after(*each));
    co_await rondo::gather(std::move(work));
}

int main(int argc, char** argv) {
    const bool is_secure = argc > 3 && std::string_view(argv[1]) == "--tls";
    const int first = is_secure ? 4 : 1;
    if (argc < first + 2) {
        fmt::print(stderr, "usage: {} [--tls CHAIN.pem KEY.pem] PORT http://BACKEND...\n", argv[0]);
        return 2;
    }
    const auto port = static_cast<std::uint16_t>(std::atoi(argv[first]));
    backends all;
    for (int i = first + 1; i < argc; ++i) all.push_back(std::make_unique<backend>(argv[i]));
    rondo::run(serve(port, is_secure ? argv[2] : "", is_secure ? argv[3] : "", all));
}
