// SPDX-License-Identifier: MIT
// How connections of the client come about: SOCKS proxies, the addresses that may be reached, the
// local address, times, and which connections may be used again.
#include <rondo/http.hpp>

#include <rondo/copy.hpp>
#include <rondo/create_task.hpp>
#include <rondo/gather.hpp>

#include "http/scripted_server.hpp"
#include "support/core_tools.hpp"
#include "support/resolver_tools.hpp"

using namespace rondo_tests;

namespace {

template <class... Numbers>
std::string bytes(Numbers... all) {
    return std::string({static_cast<char>(all)...});
}

/// A SOCKS proxy that connects every tunnel to one server, and keeps what it was asked.
class socks_server {
public:
    explicit socks_server(endpoint to)
        : to_(to), listener_(tcp_listener::bind({"127.0.0.1", 0})), where_(listener_.local()) {}

    std::string user, password;                // wanted, if not empty
    std::string version_reply = bytes(5, 0);  // to the greeting
    std::string reply = bytes(5, 0, 0, 1, 0, 0, 0, 0, 0, 0);
    std::vector<std::string> asked;  // kind, address and port of each request, as they came
    std::vector<std::string> refuse_first;  // replies to the first requests, instead of tunnels

    std::string url(const std::string& scheme, const std::string& login = {}) const {
        return scheme + "://" + login + where_.text();
    }

    template <class Client>
    task<> run(Client client) {
        auto handler = [this](tcp_stream peer) { return talk(std::move(peer)); };
        auto serving = serve(std::move(listener_), handler);
        auto asking = client();
        co_await race(std::move(serving), std::move(asking));
    }

private:
    task<> talk(tcp_stream peer) {
        try {
            const bool has_tunnel = co_await open(peer);
            if (!has_tunnel) co_return;
            auto server = co_await connect_tcp(to_);
            co_await gather(pass_on(peer, server), pass_on(server, peer));
        } catch (const std::system_error&) {  // the client has gone
        } catch (const rondo::error&) {
        }
    }
    static task<> pass_on(tcp_stream& from, tcp_stream& to) {
        co_await copy(from, to);
        co_await to.shutdown_write();
    }

    task<bool> open(tcp_stream& peer) {
        std::string head = co_await peer.read_exactly(std::size_t(2));
        const std::string methods =
            co_await peer.read_exactly(static_cast<std::size_t>(head[1]));
        if (!user.empty()) {
            co_await peer.write_all(bytes(5, 2));
            const bool is_known = co_await check_user(peer);
            const std::string verdict = bytes(1, is_known ? 0 : 7);
            co_await peer.write_all(verdict);
            if (!is_known) co_return false;
        } else {
            co_await peer.write_all(version_reply);
        }
        head = co_await peer.read_exactly(std::size_t(4));
        std::size_t rest = head[3] == 4 ? 16 : 4;
        std::string where = head.substr(3);
        if (head[3] == 3) {
            where += co_await peer.read_exactly(std::size_t(1));
            rest = static_cast<std::size_t>(where[1]);
        }
        where += co_await peer.read_exactly(rest + 2);
        asked.push_back(where);
        const bool is_refused = asked.size() <= refuse_first.size();
        const std::string answer = is_refused ? refuse_first[asked.size() - 1] : reply;
        co_await peer.write_all(answer);
        co_return !is_refused && answer[1] == 0;
    }
    task<bool> check_user(tcp_stream& peer) {
        const std::string head = co_await peer.read_exactly(std::size_t(2));
        const std::string name = co_await peer.read_exactly(static_cast<std::size_t>(head[1]));
        const std::string size = co_await peer.read_exactly(std::size_t(1));
        const std::string word = co_await peer.read_exactly(static_cast<std::size_t>(size[0]));
        co_return head[0] == 1 && name == user && word == password;
    }

    endpoint to_;
    tcp_listener listener_;
    endpoint where_;
};

/// "STATUS TEXT", or the error.
task<std::string> outcome_of(http::request_builder request) {
    try {
        auto response = co_await std::move(request);
        const std::string text = co_await response.text();
        co_return std::to_string(response.status()) + ' ' + text;
    } catch (const std::exception& error) {
        co_return error.what();
    }
}

}  // namespace

// -- SOCKS ----------------------------------------------------------------------------------------
RONDO_TEST("http socks: names are looked up by the proxy or here, and connections are kept",
           "[http_connect]") {
    made_up_names names;
    names.know("near.example", {{"10.0.0.7", 0}});
    names.use();
    scripted_server server([](const seen_request&) { return reply(200, "there"); });
    socks_server proxy(server.where());
    co_await server.run([&]() -> task<> {
        co_await proxy.run([&]() -> task<> {
            http::session client;
            client.proxy(proxy.url("socks5h"));
            CHECK(co_await outcome_of(client.get("http://far.example:81/x")) == "200 there");
            CHECK(co_await outcome_of(client.get("http://far.example:81/y")) == "200 there");
            CHECK(proxy.asked.size() == 1);  // the tunnel served both
            CHECK(proxy.asked[0] == bytes(3, 11) + "far.example" + bytes(0, 81));
            CHECK(server.requests[0].line() == "GET /x HTTP/1.1");
            CHECK(server.requests[0].field("host") == "far.example:81");
            CHECK(names.questions() == 0);
            CHECK(co_await outcome_of(client.get("http://[::1]:8080/")) == "200 there");
            CHECK(proxy.asked[1] == bytes(4) + std::string(15, '\0') + bytes(1, 31, 144));
            client.proxy(proxy.url("socks5"));
            CHECK(co_await outcome_of(client.get("http://near.example/")) == "200 there");
            CHECK(proxy.asked[2] == bytes(1, 10, 0, 0, 7, 0, 80));
            CHECK(names.questions() == 1);
            CHECK(co_await outcome_of(client.get("http://far.example:81/").proxy("")) !=
                  "200 there");
            auto by_address = client.get("http://far.example/").resolve_to({"10.1.1.1", 5});
            CHECK(co_await outcome_of(std::move(by_address)) == "200 there");
            CHECK(proxy.asked[3] == bytes(1, 10, 1, 1, 1, 0, 5));
        });
    });
}

RONDO_TEST("http socks: user and password", "[http_connect]") {
    scripted_server server([](const seen_request&) { return reply(200, "there"); });
    socks_server proxy(server.where());
    proxy.user = "me";
    proxy.password = "p:w";
    co_await server.run([&]() -> task<> {
        co_await proxy.run([&]() -> task<> {
            http::session client;
            client.proxy(proxy.url("socks5h", "me:p%3Aw@"));
            CHECK(co_await outcome_of(client.get("http://far.example/")) == "200 there");
            CHECK(server.requests[0].field("proxy-authorization") == "-");
            client.proxy(proxy.url("socks5h", "me:guess@"));
            CHECK(co_await outcome_of(client.get("http://far.example/")) ==
                  "the SOCKS proxy refused the user or the password: CONNECT far.example:80");
            client.proxy(proxy.url("socks5h"));
            CHECK(co_await outcome_of(client.get("http://far.example/")) ==
                  "the SOCKS proxy wants a user: CONNECT far.example:80");
            client.proxy(proxy.url("socks5h", std::string(256, 'u') + "@"));
            CHECK(co_await outcome_of(client.get("http://far.example/")) ==
                  "the SOCKS proxy wants a user and a password of 1 to 255 bytes: CONNECT "
                  "far.example:80");
            CHECK(client.connections() == 1);
        });
    });
}

RONDO_TEST("http socks: each refusal in words; further addresses are tried", "[http_connect]") {
    made_up_names names;
    names.know("two.example", {{"10.0.0.1", 0}, {"10.0.0.2", 0}});
    names.use();
    scripted_server server([](const seen_request&) { return reply(200, "there"); });
    socks_server proxy(server.where());
    co_await server.run([&]() -> task<> {
        co_await proxy.run([&]() -> task<> {
            http::session client;
            client.proxy(proxy.url("socks5h"));
            const std::string at = ": CONNECT far.example:80";
            const char* const reasons[] = {
                "failed", "does not allow the connection", "reports: network unreachable",
                "reports: host unreachable", "reports: connection refused",
                "reports: the connection timed out on the way (TTL expired)",
                "does not support CONNECT", "does not support this kind of address",
                "answered with the unknown code 9"};
            for (int code = 1; code <= 9; ++code) {
                proxy.reply = bytes(5, code, 0, 1, 0, 0, 0, 0, 0, 0);
                CHECK(co_await outcome_of(client.get("http://far.example/")) ==
                      "the SOCKS proxy " + std::string(reasons[code - 1]) + at);
            }
            proxy.reply = bytes(4, 0, 0, 1, 0, 0, 0, 0, 0, 0);
            CHECK(co_await outcome_of(client.get("http://far.example/")) ==
                  "the SOCKS proxy broke the protocol" + at);
            proxy.reply = bytes(5, 0, 0, 2, 0, 0, 0, 0, 0, 0);
            CHECK(co_await outcome_of(client.get("http://far.example/")) ==
                  "the SOCKS proxy broke the protocol" + at);
            proxy.version_reply = "HT";
            CHECK(co_await outcome_of(client.get("http://far.example/")) ==
                  "the SOCKS proxy does not speak SOCKS version 5" + at);
            proxy.version_reply = bytes(5, 0xff);
            CHECK(co_await outcome_of(client.get("http://far.example/")) ==
                  "the SOCKS proxy wants a user" + at);
            CHECK(client.connections() == 0);

            proxy.version_reply = bytes(5, 0);
            proxy.reply = bytes(5, 0, 0, 3, 2, 'a', 'b', 0, 0);
            proxy.asked.clear();
            proxy.refuse_first.push_back(bytes(5, 4, 0, 1, 0, 0, 0, 0, 0, 0));
            client.proxy(proxy.url("socks5"));
            CHECK(co_await outcome_of(client.get("http://two.example/")) == "200 there");
            REQUIRE(proxy.asked.size() == 2);
            CHECK(proxy.asked[1] == bytes(1, 10, 0, 0, 2, 0, 80));
        });
    });
}

RONDO_TEST("http socks: a proxy that is silent or hangs up; a request that is given up",
           "[http_connect]", limit(60s)) {
    bool hangs_up = false;
    auto listener = tcp_listener::bind({"127.0.0.1", 0});
    const std::string url = "socks5h://" + listener.local().text();
    auto handler = [&](tcp_stream peer) -> task<> {
        if (!hangs_up) co_await sleep(1h);
        try {
            co_await peer.read_exactly(std::size_t(3));
        } catch (const incomplete_read_error&) {  // a request that was given up
        }
    };
    auto client = [&]() -> task<> {
        http::session session;
        session.proxy(url);
        CHECK(co_await outcome_of(session.get("http://far.example/")) ==
              "timed out after 10s waiting for the connection: GET http://far.example/ (0 bytes)");
        const auto make = [&] { return outcome_of(session.get("http://far.example/")); };
        co_await check_cancelled_before(make);
        co_await check_cancelled_while_suspended(make);
        hangs_up = true;
        CHECK(co_await outcome_of(session.get("http://far.example/")) ==
              "the SOCKS proxy hung up before it answered: CONNECT far.example:80");
        CHECK(session.connections() == 0);
    };
    co_await race(serve(std::move(listener), handler), client());
}

// -- CONNECT --------------------------------------------------------------------------------------
RONDO_TEST("http connect: interim answers of a proxy, together with the last one",
           "[http_connect]") {
    auto listener = tcp_listener::bind({"127.0.0.1", 0});
    const std::string url = "http://" + listener.local().text();
    auto handler = [&](tcp_stream peer) -> task<> {
        co_await peer.read_until("\r\n\r\n");
        co_await peer.write_all("HTTP/1.1 102 Wait\r\n\r\nHTTP/1.1 100 Go on\r\nx: y\r\n\r\n"
                                "HTTP/1.1 403 No\r\ncontent-length: 0\r\n\r\n");
        co_await sleep(1h);
    };
    auto client = [&]() -> task<> {
        http::session session;
        session.proxy(url);
        CHECK(co_await outcome_of(session.get("https://far.example/")) ==
              "the proxy refused: 403 No: CONNECT far.example:443");
    };
    co_await race(serve(std::move(listener), handler), client());
}

RONDO_TEST("http connect: a request keeps the proxy that it began with", "[http_connect]") {
    scripted_server server([](const seen_request&) { return reply(200, "hello"); });
    co_await server.run([&]() -> task<> {
        http::session_options one;
        one.connections_per_host = 1;
        http::session client(one);
        client.proxy("http://me:secret@" + server.where().text());
        auto first = co_await client.get("http://far.example/first");
        auto second = create_task(outcome_of(client.get("http://far.example/second")));
        co_await sleep(1s);
        CHECK_FALSE(second.done());  // waits for the connection
        client.proxy("");
        first.close();
        CHECK(co_await std::move(second) == "200 hello");
        CHECK(server.requests.back().line() == "GET http://far.example/second HTTP/1.1");
    });
}

// -- addresses ------------------------------------------------------------------------------------
RONDO_TEST("http connect: every address is asked about, after the lookup and on redirects",
           "[http_connect]") {
    made_up_names names;
    scripted_server server([](const seen_request& request) {
        if (request.line().find("/away") == std::string::npos) return reply(200, "there");
        return reply(302, "", "location: http://rebound.example/\r\n");
    });
    names.know("good.example", {{server.where().address(), 0}});
    names.know("rebound.example", {{server.where().address(), 0}, {"10.0.0.1", 0}});
    names.use();
    co_await server.run([&]() -> task<> {
        http::session client;
        std::vector<std::string> seen;
        client.allow_addresses([&](const endpoint& address) {
            seen.push_back(address.address());
            return address.family() != address_family::unix_socket &&
                   !address.address().starts_with("10.");
        });
        const std::string port = std::to_string(server.where().port());
        const std::string good = "http://good.example:" + port;
        CHECK(co_await outcome_of(client.get(good + "/")) == "200 there");
        CHECK(seen.size() == 1);
        CHECK(co_await outcome_of(client.get(good + "/away")) ==
              "the address 10.0.0.1:80 of rebound.example:80 is not allowed: GET "
              "http://rebound.example/");
        CHECK(seen.size() == 3);  // the connection of the first one was used again
        CHECK((co_await outcome_of(client.get("http://10.9.9.9/")))
                  .starts_with("the address 10.9.9.9:80 of 10.9.9.9:80 is not allowed"));
        CHECK((co_await outcome_of(client.get("unix:/run/docker.sock:/info")))
                  .starts_with("the address unix:/run/docker.sock of"));
        auto elsewhere = client.get(good + "/").resolve_to({"10.0.0.2", 80});
        CHECK((co_await outcome_of(std::move(elsewhere))).find("is not allowed") !=
              std::string::npos);
        auto proxied = client.get("http://10.0.0.3/").proxy(server.url());
        CHECK((co_await outcome_of(std::move(proxied))).find("is not allowed") !=
              std::string::npos);
    });
}

RONDO_TEST("http connect: times of the lookup and the connection; a local address",
           "[http_connect]") {
    made_up_names names;
    scripted_server server([](const seen_request&) { return reply(200, "there"); });
    names.know("good.example", {{server.where().address(), 0}});
    names.use();
    co_await server.run([&]() -> task<> {
        http::session client;
        const std::string url =
            "http://good.example:" + std::to_string(server.where().port()) + "/";
        auto first = co_await client.get(url);
        CHECK(first.timing().connect > duration::zero());
        CHECK(first.timing().first_byte > first.timing().connect);
        co_await first.text();
        const duration total = first.timing().total;
        co_await sleep(1s);
        CHECK(first.timing().total == total);
        auto second = co_await client.get(url);
        CHECK(second.timing().dns == duration::zero());
        CHECK(second.timing().connect == duration::zero());
        CHECK(second.timing().queued == duration::zero());
    });
    auto listener = tcp_listener::bind({"127.0.0.1", 0});
    const std::string url = "http://" + listener.local().text() + "/";
    auto answer = [&]() -> task<> {
        tcp_stream peer = co_await listener.accept();
        co_await peer.read_until("\r\n\r\n");
        co_await peer.write_all(reply(200, peer.remote().text()));
    };
    auto ask = [&]() -> task<> {
        http::session_options options;
        options.local = {"127.0.0.1", 40123};
        http::session bound(options);
        CHECK(co_await outcome_of(bound.get(url)) == "200 127.0.0.1:40123");
    };
    co_await gather(answer(), ask());
}
