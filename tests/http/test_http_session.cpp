// SPDX-License-Identifier: MIT
// Sessions: over TLS, with a base URL, and what outlives them.
#include <rondo/http.hpp>

#include <rondo/copy.hpp>
#include <rondo/gather.hpp>

#include "http/client/redirect.hpp"
#include "http/scripted_server.hpp"
#include "support/tls_tools.hpp"

using namespace rondo_tests;

namespace {

/// "TEXT", or the error.
task<std::string> said_by(http::request_builder request) {
    try {
        auto response = co_await std::move(request);
        co_return co_await response.text();
    } catch (const std::exception& error) {
        co_return error.what();
    }
}

/// A server that speaks TLS, and answers each request by its path.
class secure_server {
public:
    secure_server()
        : listener_(tls_listener::bind({"127.0.0.1", 0}, localhost_context())),
          where_(listener_.local()) {}

    std::string url(std::string_view path = "/") const {
        return "https://localhost:" + std::to_string(where_.port()) + std::string(path);
    }
    endpoint where() const { return where_; }
    int connections = 0;

    template <class Client>
    task<> run(Client client) {
        auto handler = [this](tls_stream peer) { return talk(std::move(peer)); };
        auto serving = serve(std::move(listener_), handler);
        auto asking = client();
        co_await race(std::move(serving), std::move(asking));
    }

private:
    task<> talk(tls_stream peer) {
        ++connections;
        try {
            for (;;) {
                const std::string head = co_await peer.read_until("\r\n\r\n");
                const auto asks = [&](const char* path) { return head.find(path) != head.npos; };
                if (asks("/silent")) co_await sleep(1h);
                if (asks("/until_end")) {
                    co_await peer.write_all("HTTP/1.1 200 OK\r\n\r\nall");
                    if (asks("/until_end/cut")) peer.abort();
                    co_return;
                }
                if (asks("/stuck"))
                    co_await peer.write_all("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf");
                else
                    co_await peer.write_all(reply(200, "secure"));
            }
        } catch (const std::exception&) {  // the client has gone
        }
    }

    tls_listener listener_;
    endpoint where_;
};

}  // namespace

// -- TLS ------------------------------------------------------------------------------------------
RONDO_TEST("http over tls: a connection is kept, and not used with another context",
           "[http_session]", seeds(2).limit(20s)) {
    secure_server server;
    int refused = 0;  // the server's reports of handshakes that the client broke off
    running_loop().set_exception_handler([&](const exception_context&) { ++refused; });
    co_await server.run([&]() -> task<> {
        http::session client;
        CHECK((co_await said_by(client.get(server.url()))).find("certificate") !=
              std::string::npos);  // its authority is not trusted
        client.tls(trusting_context());
        std::string handshakes;
        client.trace([&](const http::trace_event& event) {
            if (event.point == http::trace_point::tls) handshakes += std::string(event.text) + ';';
        });
        const int before = server.connections;
        auto first = co_await client.get(server.url());
        CHECK(first.timing().tls > duration::zero());
        CHECK(co_await first.text() == "secure");
        auto second = co_await client.get(server.url());
        CHECK(second.timing().tls == duration::zero());
        CHECK(co_await second.text() == "secure");
        CHECK(server.connections == before + 1);
        client.tls(trusting_context());  // the same one
        CHECK(co_await said_by(client.get(server.url())) == "secure");
        CHECK(server.connections == before + 1);
        client.tls(tls::client_context().trust_text(test_authority().pem()));
        CHECK(co_await said_by(client.get(server.url())) == "secure");
        CHECK(server.connections == before + 2);
        CHECK(handshakes == "TLS 1.3;TLS 1.3;");
        auto elsewhere = client.get("https://other.example/").resolve_to(server.where());
        CHECK((co_await said_by(std::move(elsewhere))).find("host name mismatch") !=
              std::string::npos);
        co_await client.close();
        CHECK(client.connections() == 0);
        co_await sleep(1s);
    });
    CHECK(refused == 2);
    running_loop().set_exception_handler(nullptr);
}

RONDO_TEST("http over tls: each limit of time, and a body that is cut", "[http_session]",
           seeds(2).limit(120s)) {
    secure_server server;
    auto silent = tcp_listener::bind({"127.0.0.1", 0});
    const std::string no_handshake = "https://" + silent.local().text() + "/";
    auto hold = [](tcp_stream peer) -> task<> {
        co_await sleep(1h);
        co_await peer.close();
    };
    auto client = [&]() -> task<> {
        http::session session;
        session.tls(trusting_context());
        CHECK(co_await said_by(session.get(no_handshake)) ==
              "timed out after 10s waiting for the TLS handshake: GET " + no_handshake +
                  " (0 bytes)");
        CHECK((co_await said_by(session.get(server.url("/silent"))))
                  .starts_with("timed out after 30s waiting for response headers"));
        CHECK((co_await said_by(session.get(server.url("/stuck"))))
                  .starts_with("timed out after 30s waiting for the response body"));
        CHECK(co_await said_by(session.get(server.url("/until_end"))) == "all");
        const std::string cut = co_await said_by(session.get(server.url("/until_end/cut")));
        CHECK(cut.find("(after 3 bytes)") != std::string::npos);
        co_await sleep(200ms);  // the rest of the body that was stuck is given up
        CHECK(session.connections() == 0);
    };
    co_await server.run([&]() -> task<> {
        auto holding = serve(std::move(silent), hold);
        co_await race(std::move(holding), client());
    });
}

RONDO_TEST("http over tls: through a tunnel of a proxy", "[http_session]", seeds(2).limit(20s)) {
    secure_server server;
    auto listener = tcp_listener::bind({"127.0.0.1", 0});
    const std::string where = listener.local().text();
    std::string asked;
    auto pass_on = [](tcp_stream& from, tcp_stream& to) -> task<> {
        co_await copy(from, to);
        co_await to.shutdown_write();
    };
    auto tunnel = [&](tcp_stream peer) -> task<> {
        try {
            const std::string first = co_await peer.read_exactly(std::size_t(1));
            if (first == "C") {
                asked = (co_await peer.read_line()).value();
                co_await peer.read_until("\r\n\r\n");
                co_await peer.write_all("HTTP/1.1 200 connected\r\n\r\n");
            } else {
                co_await peer.read_exactly(std::size_t(2));
                co_await peer.write_all(std::string("\5\0", 2));
                asked = co_await peer.read_exactly(std::size_t(5 + 9 + 2));
                co_await peer.write_all(std::string("\5\0\0\1\0\0\0\0\0\0", 10));
            }
            auto there = co_await connect_tcp(server.where());
            co_await gather(pass_on(peer, there), pass_on(there, peer));
        } catch (const std::exception&) {  // the client has gone
        }
    };
    auto client = [&]() -> task<> {
        http::session session;
        session.tls(trusting_context());
        session.proxy("http://" + where);
        CHECK(co_await said_by(session.get(server.url())) == "secure");
        CHECK(asked.starts_with("ONNECT localhost:"));
        session.proxy("socks5h://" + where);
        CHECK(co_await said_by(session.get(server.url())) == "secure");
        CHECK(asked.find("localhost") != std::string::npos);
        CHECK(session.idle_connections() == 2);
    };
    co_await server.run([&]() -> task<> {
        auto serving = serve(std::move(listener), tunnel);
        co_await race(std::move(serving), client());
    });
}

// -- base URLs, and what outlives a session -------------------------------------------------------
TEST_CASE("http session: a base URL and a path, row by row", "[http_session]") {
    const std::vector<std::vector<const char*>> rows = {
        {"https://a/v1", "/users", "https://a/v1/users"},
        {"https://a/v1/", "/users", "https://a/v1/users"},
        {"https://a/v1/", "users", "https://a/v1/users"},
        {"https://a/v1", "users", "https://a/users"},
        {"https://a", "/users", "https://a/users"},
        {"https://a", "users", "https://a/users"},
        {"https://a/v1", "/", "https://a/v1/"},
        {"https://a/v1", "", "https://a/v1"},
        {"https://a/v1/x?q=1", "?p=2", "https://a/v1/x?p=2"},
        {"https://a/v1?q=1", "/x", "https://a/v1/x"},
        {"https://a/v1/", "../x", "https://a/x"},
        {"https://a/v1", "/../x", "https://a/x"},
        {"https://a/v1", "//b/x", "https://b/x"},
        {"https://a/v1", "http://b/x", "http://b/x"},
    };
    for (const auto& row : rows) {
        INFO(row[0] << " and " << row[1]);
        CHECK(http::joined(http::url(row[0]), row[1]).text() == row[2]);
    }
}

RONDO_TEST("http session: a URL that is parsed already", "[http_session]") {
    scripted_server server([](const seen_request& asked) { return reply(200, asked.line()); });
    co_await server.run([&]() -> task<> {
        http::session client;
        const http::url where(server.url("/a"));
        CHECK(co_await said_by(client.get(where)) == "GET /a HTTP/1.1");
        CHECK(co_await said_by(client.get(where).query("q", "1")) == "GET /a?q=1 HTTP/1.1");
        CHECK(co_await said_by(client.request("GET", where.resolve("b"))) == "GET /b HTTP/1.1");
        CHECK(client.get(where).url() == where);
        http::session based("http://other.example/", {});
        CHECK(co_await said_by(based.get(where)) == "GET /a HTTP/1.1");
        CHECK_THROWS_AS(co_await client.get(http::url()), http::url_error);
        CHECK_THROWS_AS(co_await client.get(http::url("ftp://localhost/")), http::url_error);
    });
}

RONDO_TEST("http session: a response outlives it, line by line", "[http_session]") {
    scripted_server server([](const seen_request&) { return reply(200, "one\ntwo\r\nthree"); });
    co_await server.run([&]() -> task<> {
        std::optional<http::response> kept;
        std::optional<http::request_builder> asked;
        {
            http::session client;
            asked.emplace(client.get(server.url()));
            kept.emplace(co_await *asked);
        }
        auto lines = kept->lines();
        std::string all;
        while (auto line = co_await lines.next()) all += *line + ';';
        CHECK(all == "one;two;three;");
        auto again = co_await *asked;  // a request keeps what it needs, too
        CHECK(again.status() == 200);
    });
}
