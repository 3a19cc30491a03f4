// SPDX-License-Identifier: MIT
// Where the client goes: redirects, cookies, proxies, addresses of one's own.
#include <rondo/http.hpp>

#include <rondo/unix.hpp>

#include "http/scripted_server.hpp"
#include "support/file_tools.hpp"

using namespace rondo;
using namespace std::chrono_literals;

namespace {

using namespace rondo_tests;

async_generator<std::string> pieces() {
    co_yield std::string("one ");
    co_yield std::string();
    co_yield std::string("two");
}

RONDO_TEST("http client: redirects by status, method and body", "[http_redirects]") {
    int status = 0;
    scripted_server server([&](const seen_request& request) {
        if (request.line().find(" /from") == std::string::npos) return reply(200, "there");
        return reply(status, "moved", "location: /to?x=1\r\n");
    });
    co_await server.run([&]() -> task<> {
        http::session client;
        for (const int one : {301, 302, 303, 307, 308}) {
            status = one;
            for (const std::string method : {"GET", "HEAD", "POST"}) {
                INFO(status << ' ' << method);
                server.requests.clear();
                auto asking = client.request(method, server.url("/from"));
                if (method == "POST") asking.body("body", "text/plain");
                auto response = co_await asking;
                CHECK(response.status() == 200);
                CHECK(response.url().text() == server.url("/to?x=1"));
                REQUIRE(response.history().size() == 1);
                CHECK(response.history()[0].status == status);
                const bool keeps = status == 307 || status == 308;
                const std::string second = keeps || method == "HEAD" ? method : "GET";
                CHECK(server.requests[1].line() == second + " /to?x=1 HTTP/1.1");
                CHECK(server.requests[1].body == (keeps && method == "POST" ? "body" : ""));
                CHECK(server.requests[1].field("content-type") ==
                      (keeps && method == "POST" ? "text/plain" : "-"));
            }
        }
        CHECK(server.connections <= 2);
        auto unfollowed = co_await client.get(server.url("/from")).redirects(0);
        CHECK(unfollowed.status() == 308);
        CHECK(co_await unfollowed.text() == "moved");
    });
}

task<> post_once(http::session& client, std::string url) {
    co_await client.post(url).body(pieces());
}

RONDO_TEST("http client: redirects that are not followed", "[http_redirects]") {
    std::string to;
    scripted_server server(
        [&](const seen_request&) { return reply(307, "", "location: " + to + "\r\n"); });
    co_await server.run([&]() -> task<> {
        http::session client;
        to = "/round";
        CHECK((co_await error_of(ask(client, server.url())))
                  .starts_with("more than 10 redirects: GET http://"));
        CHECK(server.requests.size() == 11);
        to = "ftp://a/";
        CHECK((co_await error_of(ask(client, server.url())))
                  .starts_with("a redirect to ftp: is not followed"));
        to = "file:///etc/passwd";
        CHECK((co_await error_of(ask(client, server.url()))).find("not followed") !=
              std::string::npos);
        to = "/again";
        CHECK((co_await error_of(post_once(client, server.url())))
                  .starts_with("a redirect wants a body again"));
    });
}

RONDO_TEST("http client: another origin gets no secrets", "[http_redirects]") {
    scripted_server other([](const seen_request&) { return reply(200, ""); });
    scripted_server server([&](const seen_request&) {
        return reply(302, "", "set-cookie: s=1\r\nlocation: " + other.url() + "\r\n");
    });
    co_await server.run([&]() -> task<> {
        co_await other.run([&]() -> task<> {
            http::session client;
            client.headers().set("authorization", "secret").set("accept", "text/html");
            co_await client.get(server.url()).header("x-token", "t").header("cookie", "c=1");
            const seen_request& seen = other.requests[0];
            CHECK(seen.field("authorization") == "-");
            CHECK(seen.field("x-token") == "-");
            CHECK(seen.field("accept") == "text/html");
            CHECK(seen.field("cookie").find("c=1") == std::string::npos);
        });
    });
}

RONDO_TEST("http client: cookies come back, unless they are switched off", "[http_redirects]") {
    scripted_server server([](const seen_request&) {
        return reply(200, "", "set-cookie: id=7; Path=/\r\nset-cookie: deep=1; Path=/deep\r\n");
    });
    co_await server.run([&]() -> task<> {
        http::session client;
        co_await client.get(server.url());
        co_await client.get(server.url("/x"));
        co_await client.get(server.url("/deep/x"));
        CHECK(server.requests[0].field("cookie") == "-");
        CHECK(server.requests[1].field("cookie") == "id=7");
        CHECK(server.requests[2].field("cookie") == "deep=1; id=7");
        CHECK(client.cookies().size() == 2);
        http::session_options none;
        none.cookies = false;
        http::session forgetful(none);
        co_await forgetful.get(server.url());
        co_await forgetful.get(server.url());
        CHECK(server.requests[4].field("cookie") == "-");
    });
}

RONDO_TEST("http client: Unix sockets and addresses of one's own", "[http_redirects][both]") {
    scripted_server server([](const seen_request&) { return reply(200, "by address"); });
    co_await server.run([&]() -> task<> {
        http::session client;
        auto response =
            co_await client.get("http://no.such.host.example/").resolve_to(server.where());
        CHECK(co_await response.text() == "by address");
        CHECK(server.requests[0].field("host") == "no.such.host.example");
    });
    rondo_tests::folder folder;
    const std::string path = folder / "socket";
    auto listener = unix_listener::bind(path);
    auto answer = [](unix_stream peer) -> task<> {
        co_await peer.read_until("\r\n\r\n");
        co_await peer.write_all(reply(200, "by path"));
    };
    auto client = [&]() -> task<> {
        http::session session;
        auto response = co_await session.get("unix:" + path + ":/info");
        CHECK(co_await response.text() == "by path");
    };
    auto serving = serve(std::move(listener), answer);
    co_await race(std::move(serving), client());
}

RONDO_TEST("http client: the limit of connecting holds for the proxy's tunnel as well",
           "[http_redirects]", limit(60s)) {
    scripted_server proxy([](const seen_request&) { return std::string(stay_silent); });
    co_await proxy.run([&]() -> task<> {
        http::session client;
        client.proxy("http://" + proxy.where().text());
        CHECK(co_await error_of(ask(client, "https://far.example/")) ==
              "timed out after 10s waiting for the connection: GET https://far.example/ (0 bytes)");
    });
}

RONDO_TEST("http client: through a proxy", "[http_redirects]") {
    scripted_server proxy([](const seen_request& request) {
        if (request.line().starts_with("CONNECT")) return reply(403, "", "");
        return reply(200, "by proxy");
    });
    co_await proxy.run([&]() -> task<> {
        http::session client;
        client.proxy("http://me:pass@" + proxy.where().text(), "direct.example");
        auto response = co_await client.get("http://far.example/x?y#z");
        CHECK(co_await response.text() == "by proxy");
        CHECK(proxy.requests[0].line() == "GET http://far.example/x?y HTTP/1.1");
        CHECK(proxy.requests[0].field("proxy-authorization") == "Basic bWU6cGFzcw==");
        CHECK(proxy.requests[0].field("host") == "far.example");
        CHECK((co_await error_of(ask(client, "https://far.example/")))
                  .starts_with("the proxy refused: 403 X: CONNECT far.example:443"));
    });
}

}  // namespace
