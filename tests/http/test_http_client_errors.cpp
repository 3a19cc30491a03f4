// SPDX-License-Identifier: MIT
// The limits of time of the client, and its errors.
#include <rondo/http.hpp>

#include <sys/socket.h>
#include <unistd.h>

#include <rondo/create_task.hpp>

#include "http/scripted_server.hpp"
#include "support/file_tools.hpp"

using namespace rondo;
using namespace std::chrono_literals;

namespace {

using namespace rondo_tests;

task<> sent(http::request_builder request) { co_await std::move(request); }

RONDO_TEST("http client: each limit of time names its phase", "[http_client_errors]") {
    scripted_server server([](const seen_request& request) -> std::string {
        if (request.line().find("/head") != std::string::npos) return std::string(stay_silent);
        return "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf";
    });
    co_await server.run([&]() -> task<> {
        http::session client;
        CHECK(co_await error_of(ask(client, server.url("/head"))) ==
              "timed out after 30s waiting for response headers: GET " + server.url("/head") +
                  " (0 bytes)");
        CHECK(co_await error_of(ask(client, server.url("/body"))) ==
              "timed out after 30s waiting for the response body: GET " + server.url("/body") +
                  " (4 bytes)");
        const time_point before = running_loop().time();
        http::phase phase{};
        try {
            co_await client.get(server.url("/head")).timeout(5s);
        } catch (const http::timeout_error& error) {
            phase = error.phase();
        }
        CHECK(phase == http::phase::headers);
        CHECK(running_loop().time() - before < 6s);
        CHECK(client.connections() == 0);
    });
}

task<> drip(tcp_stream peer) {
    co_await peer.read_until("\r\n\r\n");
    co_await peer.write_all("HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n");
    for (;;) {
        co_await peer.write_all("x");
        co_await sleep(1s);
    }
}

RONDO_TEST("http client: a body that drips is given up; a slow reader is not to blame",
           "[http_client_errors]", limit(2h)) {
    auto listener = tcp_listener::bind({"127.0.0.1", 0});
    const std::string url = "http://" + listener.local().text() + "/";
    auto client = [&]() -> task<> {
        http::session session;
        const time_point before = running_loop().time();
        auto response = co_await session.get(url);
        std::string error = "none";
        try {
            while (co_await response.read_some()) {}
        } catch (const http::timeout_error& late) {
            error = late.what();
        }
        CHECK(error.starts_with("timed out after 30s waiting for the response body"));
        CHECK(running_loop().time() - before < 40s);
        auto slowly = co_await session.get(url);
        for (int i = 0; i < 20; ++i) {
            co_await sleep(10s);
            CHECK(co_await slowly.read_some());
        }
        CHECK((co_await error_of(ask(session, url))).starts_with("timed out after"));
    };
    co_await race(serve(std::move(listener), drip), client());
}

RONDO_TEST("http client: errors name what failed, the method and the URL", "[http_client_errors][both]") {
    std::string answer;
    scripted_server server([&](const seen_request&) { return answer; });
    co_await server.run([&]() -> task<> {
        http::session client;
        answer = reply(404, "");
        auto missing = co_await client.get(server.url("/x"));
        std::string text;
        try {
            missing.raise_for_status();
        } catch (const http::status_error& error) {
            text = error.what();
            CHECK(error.status() == 404);
        }
        CHECK(text == "404 X: GET " + server.url("/x"));
        answer = "SSH-2.0-OpenSSH\r\n";
        CHECK_FALSE((co_await error_of(ask(client, server.url()))).starts_with("no error"));
        answer = hang_up;
        CHECK((co_await error_of(ask(client, server.url()))).find(": GET http://") !=
              std::string::npos);
        answer = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n";
        CHECK((co_await error_of(ask(client, server.url()))).find("refused") !=
              std::string::npos);
        auto closed = tcp_listener::bind({"127.0.0.1", 0});
        const std::string nowhere = "http://" + closed.local().text() + "/";
        co_await closed.close();
        std::string refused;
        try {
            co_await client.get(nowhere);
        } catch (const http::connect_error& error) {
            refused = error.what();
        }
        CHECK(refused.find("Connection refused") != std::string::npos);
        CHECK(client.connections() == 0);
    });
}

RONDO_TEST("http client: retries wait, and stop at success", "[http_client_errors]") {
    scripted_server server([](const seen_request& request) {
        if (request.number < 3) return reply(503, "", "retry-after: 7\r\n");
        return reply(200, "at last");
    });
    co_await server.run([&]() -> task<> {
        http::session client;
        const time_point before = running_loop().time();
        auto response = co_await client.get(server.url()).retries();
        CHECK(response.status() == 200);
        CHECK(running_loop().time() - before >= 14s);
        CHECK(running_loop().time() - before < 16s);
        server.requests.clear();
        auto not_repeated = co_await client.post(server.url()).body("x").retries();
        CHECK(not_repeated.status() == 503);
    });
}

RONDO_TEST("http client: a response that comes before the body was sent ends the sending",
           "[http_client_errors][both]") {
    auto listener = tcp_listener::bind({"127.0.0.1", 0});
    const std::string url = "http://" + listener.local().text() + "/";
    auto refuse = [](tcp_stream peer) -> task<> {
        co_await peer.read_until("\r\n\r\n");
        co_await peer.write_all(reply(413, "too large"));
        co_await sleep(1h);  // reads nothing more
    };
    auto client = [&]() -> task<> {
        http::session session;
        auto response = co_await session.post(url).body(std::string(50'000'000, 'x'));
        CHECK(response.status() == 413);
        CHECK(co_await response.text() == "too large");
        CHECK(session.idle_connections() == 0);
    };
    auto serving = serve(std::move(listener), refuse);
    co_await race(std::move(serving), client());
}

RONDO_TEST("http client: a peer that reads no more and says nothing is not waited for",
           "[http_client_errors][kernel]", limit(10s)) {
    if (running_loop().stats().kernel == std::string_view("readiness"))
        SKIP("epoll says nothing of a Unix peer that has shut down its reading");
    rondo_tests::folder folder;
    const std::string path = folder / "socket";
    // A socket of the system's: only shutdown(2) closes a direction of it for the other side.
    const int listening = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const endpoint where = endpoint::unix_path(path);
    const auto* const name = static_cast<const sockaddr*>(where.data());
    CHECK(::bind(listening, name, where.size()) == 0);
    CHECK(::listen(listening, 1) == 0);
    http::session_options brief;
    brief.timeouts.headers = 50ms;
    http::session client("", brief);
    auto asking = create_task(
        error_of(sent(client.post("unix:" + path + ":/").body(std::string(4'000'000, 'x')))));
    co_await sleep(50ms);
    const int peer = ::accept4(listening, nullptr, nullptr, SOCK_CLOEXEC);
    CHECK(::shutdown(peer, SHUT_RD) == 0);
    const std::string lost = co_await std::move(asking);
    CHECK(lost.find("the connection was lost before the response") != std::string::npos);
    ::close(peer);
    ::close(listening);
}

}  // namespace
