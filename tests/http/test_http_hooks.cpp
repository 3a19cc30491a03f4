// SPDX-License-Identifier: MIT
// Hooks of a session: the trace of its requests, and functions around them.
#include <rondo/http.hpp>

#include <map>
#include <optional>

#include <rondo/loop.hpp>

#include "http/scripted_server.hpp"
#include "support/core_tools.hpp"
#include "support/resolver_tools.hpp"

using namespace rondo_tests;

namespace {

/// Notes each moment: "NUMBER POINT" and what belongs to it.
class noted {
public:
    void operator()(const http::trace_event& event) {
        std::string line = std::to_string(event.request) + ' ' + std::string(text(event.point));
        using point = http::trace_point;
        if (event.point == point::queued && event.reused) line += " reused";
        if (event.status != 0) line += ' ' + std::to_string(event.status);
        if (event.bytes != 0 && event.point != point::chunk)
            line += ' ' + std::to_string(event.bytes);
        if (event.point == point::redirect || event.point == point::retry ||
            event.point == point::error || event.point == point::dns)
            line += " " + std::string(event.text);
        if (event.point == point::chunk) {  // their number is the network's affair
            chunk_bytes += event.bytes;
            if (!lines.empty() && lines.back() == line) return;
        }
        CHECK(event.elapsed >= duration::zero());
        CHECK(event.elapsed >= (event.point == point::retry ? duration::zero() : event.took));
        CHECK(event.time <= running_loop().time());
        lines.push_back(line);
        last_url = event.url;
    }
    std::string take() {
        std::string all;
        for (const std::string& line : std::exchange(lines, {})) all += line + '\n';
        return all;
    }
    std::vector<std::string> lines;
    std::string last_url;
    std::uint64_t chunk_bytes = 0;
};

task<std::string> text_of(http::request_builder request) {
    auto response = co_await std::move(request);
    co_return co_await response.text();
}

task<std::string> error_from(http::request_builder request) {
    try {
        co_await text_of(std::move(request));
    } catch (const std::exception& error) {
        co_return error.what();
    }
    co_return "no error";
}

}  // namespace

// -- trace ----------------------------------------------------------------------------------------
RONDO_TEST("http trace: each moment of a request, and of the next on its connection",
           "[http_hooks][both]") {
    scripted_server server([](const seen_request& request) {
        if (request.line().find("/from") == std::string::npos) return reply(200, "hello");
        return reply(302, "", "location: /to\r\n");
    });
    co_await server.run([&]() -> task<> {
        http::session client;
        noted notes;
        client.trace([&](const http::trace_event& event) { notes(event); });
        const std::string with_user = "http://me:secret@" + server.where().text() + "/";
        co_await text_of(client.post(with_user).body("abc"));
        CHECK(notes.take() ==
              "1 start\n1 queued\n1 connect\n1 sent 3\n1 head 200\n1 chunk\n1 end 5\n");
        CHECK(notes.chunk_bytes == 5);
        CHECK(notes.last_url == server.url());
        co_await text_of(client.get(server.url("/from")));
        CHECK(notes.take() == "2 start\n2 queued reused\n2 sent\n2 head 302\n2 redirect 302 " +
                                  server.url("/to") +
                                  "\n2 queued reused\n2 sent\n2 head 200\n2 chunk\n2 end 5\n");
        {
            auto unread = co_await client.head(server.url());
            CHECK(notes.take() == "3 start\n3 queued reused\n3 sent\n3 head 200\n");
        }
        CHECK(notes.take() == "3 end\n");
        client.trace(nullptr);
        co_await text_of(client.get(server.url()));
        CHECK(notes.take() == "");
    });
}

RONDO_TEST("http trace: repetitions, errors, a cancellation, names", "[http_hooks]", limit(60s)) {
    made_up_names names;
    scripted_server server([](const seen_request& request) {
        const std::string line = request.line();
        if (line.find("/busy") != std::string::npos && request.number % 2 == 1)
            return reply(503, "");
        if (line.find("/cut") != std::string::npos)
            return std::string(then_close) + "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf";
        if (line.find("/silent") != std::string::npos) return std::string(stay_silent);
        return reply(200, "");
    });
    names.know("good.example", {{"127.0.0.1", 0}});
    names.use();
    co_await server.run([&]() -> task<> {
        http::session client;
        noted notes;
        client.trace([&](const http::trace_event& event) { notes(event); });
        co_await text_of(client.get(server.url("/busy")).retries());
        CHECK(notes.take() == "1 start\n1 queued\n1 connect\n1 sent\n1 head 503\n1 retry 503 X\n"
                              "1 queued reused\n1 sent\n1 head 200\n1 end\n");
        const std::string cut = co_await error_from(client.get(server.url("/cut")));
        CHECK(notes.take() == "2 start\n2 queued reused\n2 sent\n2 head 200\n2 chunk\n2 error " +
                                  cut + '\n');
        auto waiting = move_on_after(5s, error_from(client.get(server.url("/silent"))));
        CHECK_FALSE(co_await std::move(waiting));
        CHECK(notes.take() == "3 start\n3 queued\n3 connect\n3 sent\n3 error cancelled\n");
        const std::string port = std::to_string(server.where().port());
        co_await text_of(client.get("http://good.example:" + port + "/"));
        CHECK(notes.take() == "4 start\n4 queued\n4 dns good.example\n4 connect\n4 sent\n"
                              "4 head 200\n4 end\n");
        const std::string bad = co_await error_from(client.get("http://bad.example/"));
        CHECK(notes.take() == "5 start\n5 queued\n5 error " + bad + '\n');
        for (const char* refused : {"http://me:secret@host:99999/", "ftp://me:secret@host/"}) {
            const std::string error = co_await error_from(client.get(refused));
            CHECK(error.find("secret") == std::string::npos);
            CHECK(notes.lines.size() == 1);
            CHECK(notes.take().find(" error " + error) != std::string::npos);
            CHECK(notes.last_url == "");  // not the text that was given
        }
        auto closed = co_await client.get(server.url("/cut"));
        closed.close();
        CHECK_THROWS_AS(co_await closed.text(), closed_error);
        CHECK(notes.take() == "8 start\n8 queued\n8 connect\n8 sent\n8 head 200\n8 end\n");
    });
}

TEST_CASE("http trace: a response that is traced may outlive its loop", "[http_hooks]") {
    for (const std::size_t size : {std::size_t{0}, std::size_t{9}, std::size_t{100'000}}) {
        std::optional<http::response> kept;
        {
            loop home;
            home.run_until_complete([](auto& to, std::size_t bytes) -> task<> {
                scripted_server server([&](const seen_request&) {
                    return reply(200, std::string(bytes, 'x'));
                });
                co_await server.run([&]() -> task<> {
                    http::session client;
                    client.trace([](const http::trace_event&) {});
                    to.emplace(co_await client.get(server.url()));
                });
            }(kept, size));
        }
        CHECK(kept->status() == 200);
        kept.reset();
    }
}

RONDO_TEST("http trace: a hook that throws, and one that replaces itself", "[http_hooks]") {
    scripted_server server([](const seen_request&) { return reply(200, "hello"); });
    std::vector<std::string> reported;
    running_loop().set_exception_handler(
        [&](const exception_context& context) { reported.push_back(context.message); });
    co_await server.run([&]() -> task<> {
        http::session client;
        client.trace([&](const http::trace_event&) {
            client.trace([](const http::trace_event& event) {
                if (event.point == http::trace_point::end) throw std::runtime_error("no");
            });
        });
        CHECK(co_await text_of(client.get(server.url())) == "hello");
        CHECK(reported.empty());  // a request keeps the hook that it began with
        CHECK(co_await text_of(client.get(server.url())) == "hello");
        CHECK(reported.size() == 1);
    });
    running_loop().set_exception_handler(nullptr);
}

// -- middleware -----------------------------------------------------------------------------------
namespace {

task<http::response> add_header(http::request_builder request, http::next_request next) {
    request.header("x-added", "yes");
    co_return co_await next(std::move(request));
}

}  // namespace

RONDO_TEST("http middleware: several in order, around redirects and errors", "[http_hooks]") {
    scripted_server server([](const seen_request& request) {
        if (request.line().find("/v1/from") == std::string::npos) return reply(200, "hello");
        return reply(302, "", "location: /to\r\n");
    });
    co_await server.run([&]() -> task<> {
        http::session api(server.url("/v1"));
        std::string order;
        api.use([&](http::request_builder& request, const http::next_request& next)
                    -> task<http::response> {
            order += "(" + std::string(request.method()) + ' ' + request.url().text() + ' ';
            try {
                auto response = co_await next(request);
                order += std::to_string(response.status()) + ')';
                co_return response;
            } catch (const std::exception&) {
                order += "failed)";
                throw;
            }
        });
        api.use([&](http::request_builder request, http::next_request next)
                    -> task<http::response> {
            order += "[" + std::string(request.headers().get("a").value_or("-"));
            auto response = co_await next(request);
            order += "]";
            co_return response;
        });
        api.use(add_header);
        CHECK(co_await text_of(api.get("/from").query("q", "1").header("a", "b")) == "hello");
        CHECK(order == "(GET " + server.url("/v1/from?q=1") + " [b]200)");
        CHECK(server.requests.size() == 2);
        CHECK(server.requests[0].field("x-added") == "yes");
        order.clear();
        CHECK(co_await error_from(api.get("unix:/no/such/socket:/x")) != "no error");
        CHECK(order.starts_with("(GET "));
        CHECK(order.ends_with("failed)"));
    });
}

RONDO_TEST("http middleware: a cache, and a token that is renewed", "[http_hooks]") {
    scripted_server server([](const seen_request& request) {
        if (request.field("authorization") != "Bearer new") return reply(401, "");
        return reply(200, "page " + std::to_string(request.number), "content-type: text/plain\r\n");
    });
    co_await server.run([&]() -> task<> {
        http::session client;
        std::map<std::string, std::string> cache;
        client.use([&](http::request_builder request, http::next_request next)
                       -> task<http::response> {
            const std::string key = request.url().text();
            http::fields headers;
            headers.set("content-type", "text/plain").set("x-cache", "hit");
            if (request.method() == "GET" && cache.contains(key))
                co_return http::response(request, 200, headers, cache[key]);
            auto response = co_await next(request);
            const std::string body = co_await response.text();
            if (response.ok()) cache[key] = body;
            co_return http::response(request, response.status(), response.headers(), body);
        });
        std::string token = "old";
        client.use([&](http::request_builder request, http::next_request next)
                       -> task<http::response> {
            auto response = co_await next(request.bearer(token));
            if (response.status() != 401) co_return response;
            response.close();
            token = "new";
            co_return co_await next(request.bearer(token));
        });
        CHECK(co_await text_of(client.get(server.url("/a"))) == "page 2");
        auto hit = co_await client.get(server.url("/a"));
        CHECK(hit.status() == 200);
        CHECK(hit.reason() == "OK");
        CHECK(hit.header("x-cache") == "hit");
        CHECK(hit.url().text() == server.url("/a"));
        CHECK(hit.content_length() == 6);
        CHECK(co_await hit.text() == "page 2");
        CHECK(co_await text_of(client.post(server.url("/a")).body("x")) == "page 3");
        CHECK(server.requests.size() == 3);
        CHECK(server.requests[2].body == "x");
    });
}

RONDO_TEST("http middleware: the request itself goes on to the next one; a cancellation passes",
           "[http_hooks]") {
    scripted_server server([](const seen_request& request) {
        if (request.line().find("/silent") != std::string::npos) return std::string(stay_silent);
        return reply(200, "hello");
    });
    co_await server.run([&]() -> task<> {
        http::session client;
        int calls = 0;
        client.use([&](http::request_builder request, http::next_request) -> task<http::response> {
            ++calls;
            co_return co_await request;
        });
        CHECK(co_await text_of(client.get(server.url())) == "hello");
        CHECK(calls == 1);
        const auto make = [&] { return text_of(client.get(server.url("/silent"))); };
        co_await check_cancelled_before(make);
        co_await check_cancelled_while_suspended(make);
        CHECK(client.connections() == 0);
        auto again = client.get(server.url());
        co_await again;
        co_await again;
        CHECK(calls == 5);
    });
}

RONDO_TEST("http middleware: a response that no server sent is read like any other",
           "[http_hooks]") {
    http::session client;
    http::fields events;
    events.set("content-type", "text/event-stream; charset=x");
    const auto asked = client.get("http://a.example/b");
    http::response lines(asked, 404, {}, "one\ntwo");
    CHECK(lines.reason() == "Not Found");
    CHECK_THROWS_WITH(lines.raise_for_status(), "404 Not Found: GET http://a.example/b");
    CHECK(co_await lines.read_line() == "one");
    char two[2];
    const auto part = co_await lines.read_some(two);
    CHECK(part.text() == "tw");
    CHECK(co_await lines.bytes() == "o");
    http::response stream(asked, 200, events, "data: 1\n\n");
    auto all = stream.events();
    CHECK((co_await all.next())->data == "1");
    CHECK_FALSE(co_await all.next());
    http::response closed(asked, 200, {}, "text");
    closed.close();
    auto read = [&]() -> task<> { co_await closed.read_some(); };
    CHECK(co_await error_of(read()) == "the response is closed");
}
