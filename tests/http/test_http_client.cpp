// SPDX-License-Identifier: MIT
// The client as its user sees it: requests, their bodies, responses and theirs.
#include <rondo/http.hpp>

#include <rondo/file_system.hpp>
#include <rondo/memory_stream.hpp>

#include "http/scripted_server.hpp"
#include "support/file_tools.hpp"

using namespace rondo;
using namespace std::chrono_literals;

namespace {

using namespace rondo_tests;

RONDO_TEST("http client: a request, its response, and a second one on the same connection",
           "[http_client][both]") {
    scripted_server server([](const seen_request& request) {
        return reply(200, "hello " + std::to_string(request.number),
                     "content-type: text/plain\r\n");
    });
    co_await server.run([&]() -> task<> {
        http::session client;
        auto first = co_await client.get(server.url("/a?b=c"));
        CHECK(first.status() == 200);
        CHECK(first.ok());
        CHECK(first.reason() == "X");
        CHECK(first.version() == http::version::http_1_1);
        CHECK(first.header("Content-Type") == "text/plain");
        CHECK(first.content_length() == 7);
        CHECK(first.url().text() == server.url("/a?b=c"));
        CHECK(first.history().empty());
        CHECK(co_await first.text() == "hello 1");
        CHECK(co_await first.text() == "");
        auto second = co_await client.get(server.url("/b"));
        CHECK(co_await second.bytes() == "hello 2");
        CHECK(server.connections == 1);
        CHECK(server.requests[0].line() == "GET /a?b=c HTTP/1.1");
        CHECK(server.requests[0].field("host") == server.where().text());
        CHECK(server.requests[0].field("accept") == "*/*");
        CHECK(server.requests[0].field("user-agent").starts_with("rondo/"));
        CHECK(server.requests[0].field("content-length") == "-");
        co_await client.close();
        CHECK(client.connections() == 0);
        CHECK(co_await error_of(ask(client, server.url())) == "the HTTP session is closed");
    });
}

RONDO_TEST("http client: a closed response gives no part of its body for all of it",
           "[http_client][both]") {
    scripted_server server([](const seen_request&) { return reply(200, "one\ntwo\n"); });
    co_await server.run([&]() -> task<> {
        http::session client;
        auto response = co_await client.get(server.url());
        co_await sleep(20ms);  // all of it has come
        CHECK(co_await response.read_line() == "one");
        response.close();
        CHECK_THROWS_AS(co_await response.text(), closed_error);
        CHECK_THROWS_AS(co_await response.read_some(), closed_error);
        auto whole = co_await client.get(server.url());
        CHECK(co_await whole.text() == "one\ntwo\n");
        whole.close();
        CHECK(co_await whole.text() == "");
        CHECK(server.connections == 1);
    });
}

RONDO_TEST("http client: all verbs; a named request can be sent again", "[http_client]") {
    scripted_server server([](const seen_request&) { return reply(204, ""); });
    co_await server.run([&]() -> task<> {
        http::session client;
        co_await client.post(server.url());
        co_await client.put(server.url());
        co_await client.patch(server.url());
        co_await client.del(server.url());
        co_await client.options(server.url());
        co_await client.head(server.url());
        auto again = client.request("PROPFIND", server.url());
        again.header("depth", "1");
        co_await again;
        co_await again;
        std::string verbs;
        for (const auto& request : server.requests)
            verbs += request.line().substr(0, request.line().find(' ')) + ' ';
        CHECK(verbs == "POST PUT PATCH DELETE OPTIONS HEAD PROPFIND PROPFIND ");
        CHECK(server.requests[0].field("content-length") == "0");
        CHECK(server.requests[3].field("content-length") == "-");
        CHECK(server.requests[7].field("depth") == "1");
    });
}

RONDO_TEST("http client: a base URL and a path are joined, the query is encoded", "[http_client]") {
    scripted_server server([](const seen_request&) { return reply(200, ""); });
    co_await server.run([&]() -> task<> {
        http::session api(server.url("/v1/"));
        api.headers().set("authorization", "Bearer secret");
        co_await api.get("/users").query("q", "x y&z").query("page", 2);
        co_await api.get("users");
        co_await api.get("../other").header("authorization", "own");
        co_await api.get(server.url("/absolute")).basic_auth("me", "pass").range(5, 9);
        CHECK(server.requests[0].line() == "GET /v1/users?q=x%20y%26z&page=2 HTTP/1.1");
        CHECK(server.requests[0].field("authorization") == "Bearer secret");
        CHECK(server.requests[1].line() == "GET /v1/users HTTP/1.1");
        CHECK(server.requests[2].line() == "GET /other HTTP/1.1");
        CHECK(server.requests[2].field("authorization") == "own");
        CHECK(server.requests[3].line() == "GET /absolute HTTP/1.1");
        CHECK(server.requests[3].field("authorization") == "Basic bWU6cGFzcw==");
        CHECK(server.requests[3].field("range") == "bytes=5-9");
    });
}

async_generator<std::string> pieces() {
    co_yield std::string("one ");
    co_yield std::string();
    co_yield std::string("two");
}

RONDO_TEST("http client: bodies of every kind", "[http_client][both]") {
    rondo_tests::folder folder;
    co_await write_file(folder / "upload.txt", "from a file");
    scripted_server server([](const seen_request&) { return reply(200, ""); });
    co_await server.run([&]() -> task<> {
        http::session client;
        co_await client.post(server.url()).body("text", "text/plain");
        co_await client.post(server.url()).form("a", "1 2").form("b", "&");
        co_await client.put(server.url()).body_file(folder / "upload.txt");
        co_await client.post(server.url()).body(pieces());
        auto [ours, theirs] = memory_stream::pair();
        co_await theirs.write_all("streamed");
        theirs.close();
        co_await client.post(server.url()).body(std::move(ours));
        const std::string large(300'000, 'x');
        co_await client.post(server.url()).body(large);
        CHECK(server.requests[0].body == "text");
        CHECK(server.requests[0].field("content-type") == "text/plain");
        CHECK(server.requests[0].field("content-length") == "4");
        CHECK(server.requests[1].body == "a=1%202&b=%26");
        CHECK(server.requests[1].field("content-type") == "application/x-www-form-urlencoded");
        CHECK(server.requests[2].body == "from a file");
        CHECK(server.requests[2].field("content-length") == "11");
        CHECK(server.requests[3].body == "one two");
        CHECK(server.requests[3].field("transfer-encoding") == "chunked");
        CHECK(server.requests[4].body == "streamed");
        CHECK(server.requests[5].body == large);
        CHECK(server.connections == 1);
    });
}

RONDO_TEST("http client: a form with files is multipart", "[http_client][both]") {
    rondo_tests::folder folder;
    co_await write_file(folder / "a.txt", "file a");
    scripted_server server([](const seen_request&) { return reply(200, ""); });
    co_await server.run([&]() -> task<> {
        http::session client;
        co_await client.post(server.url())
            .part("name", "value")
            .part_file("upload", folder / "a.txt", "text/plain", "q\"uote.txt");
        const seen_request& seen = server.requests[0];
        const std::string type = seen.field("content-type");
        const std::string boundary = type.substr(type.find('=') + 1);
        CHECK(type.starts_with("multipart/form-data; boundary="));
        CHECK(seen.body == "--" + boundary +
                               "\r\ncontent-disposition: form-data; name=\"name\"\r\n\r\nvalue\r\n--" +
                               boundary +
                               "\r\ncontent-disposition: form-data; name=\"upload\"; "
                               "filename=\"q%22uote.txt\"\r\ncontent-type: text/plain\r\n\r\n"
                               "file a\r\n--" +
                               boundary + "--\r\n");
    });
}

RONDO_TEST("http client: setters refuse what must not be sent", "[http_client]") {
    http::session client;
    CHECK_THROWS_AS(client.get("http://a/").header("a b", "c"), http::error);
    CHECK_THROWS_AS(client.get("http://a/").header("a", "b\r\nc: d"), http::error);
    CHECK_THROWS_AS(client.get("http://a/").bearer("x\n"), http::error);
    CHECK_THROWS_AS(client.request("GE T", "http://a/"), http::error);
    CHECK_THROWS_AS(client.post("http://a/").body("a").form("b", "c"), http::error);
    CHECK_THROWS_AS(http::session("not a url"), http::url_error);
    CHECK_THROWS_AS(client.proxy("socks9://x"), http::url_error);
    CHECK((co_await error_of(ask(client, "ftp://a/"))).starts_with("HTTP cannot be spoken"));
    CHECK(co_await error_of(ask(client, "/no/base")) != "no error");
}

class broken_source final : public http::body_source {
public:
    task<std::string_view> next() override {
        if (std::exchange(began_, true))
            throw std::system_error(EIO, std::generic_category(), "read disk");
        co_return std::string_view("some");
    }

private:
    bool began_ = false;
};

RONDO_TEST("http client: a body whose source fails is the source's error, at once",
           "[http_client]") {
    scripted_server server([](const seen_request&) { return std::string(stay_silent); });
    co_await server.run([&]() -> task<> {
        http::session client;
        const time_point before = running_loop().time();
        int code = 0;
        try {
            co_await client.post(server.url()).body(std::make_shared<broken_source>());
        } catch (const std::system_error& error) {
            code = error.code().value();
        }
        CHECK(code == EIO);
        CHECK(running_loop().time() - before < 1s);
        CHECK(client.connections() == 0);
    });
}

RONDO_TEST("http client: a body that can be sent only once is not sent as nothing",
           "[http_client]") {
    scripted_server server([](const seen_request&) { return reply(200, ""); });
    co_await server.run([&]() -> task<> {
        http::session client;
        auto again = client.post(server.url()).body(pieces());
        co_await again;
        std::string refused;
        try {
            co_await again;
        } catch (const http::error& error) {
            refused = error.what();
        }
        CHECK(refused.starts_with("this body can be sent only once"));
        CHECK(server.requests.size() == 1);
        auto text = client.post(server.url()).body("text");
        co_await text;
        co_await text;
        CHECK(server.requests[2].body == "text");
    });
}

RONDO_TEST("http client: repeated headers are kept, a request's replace the session's",
           "[http_client]") {
    scripted_server server([](const seen_request&) { return reply(200, ""); });
    co_await server.run([&]() -> task<> {
        http::session client;
        client.headers().add("via", "a").add("via", "b").add("x", "session");
        co_await client.get(server.url()).header("x", "request");
        const std::string& head = server.requests[0].head;
        CHECK(head.find("\r\nvia: a\r\nvia: b\r\n") != std::string::npos);
        CHECK(head.find("session") == std::string::npos);
        CHECK(server.requests[0].field("x") == "request");
    });
}

// -- bodies of responses --------------------------------------------------------------------------
RONDO_TEST("http client: the body in pieces, in lines, into a file", "[http_client][both]") {
    rondo_tests::folder folder;
    const std::string chunked =
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
        "6\r\nfirst\n\r\n9\r\nsecond\r\nt\r\n4\r\nhird\r\n0\r\nchecksum: 7\r\n\r\n";
    scripted_server server([&](const seen_request&) { return chunked; });
    co_await server.run([&]() -> task<> {
        http::session client;
        auto in_pieces = co_await client.get(server.url());
        std::string all;
        while (auto piece = co_await in_pieces.read_some()) all += piece.text();
        CHECK(all == "first\nsecond\r\nthird");
        CHECK(in_pieces.trailers().get("checksum") == "7");
        auto in_lines = co_await client.get(server.url());
        CHECK(co_await in_lines.read_line() == "first");
        CHECK(co_await in_lines.read_line() == "second");
        CHECK(co_await in_lines.read_line() == "third");
        CHECK(co_await in_lines.read_line() == std::nullopt);
        auto into_buffer = co_await client.get(server.url());
        char three[3];
        const auto part = co_await into_buffer.read_some(three);
        CHECK(part.text() == "fir");
        CHECK(co_await into_buffer.text() == "st\nsecond\r\nthird");
        auto to_file = co_await client.get(server.url());
        CHECK(co_await to_file.save_to(folder / "saved") == 19);
        CHECK(co_await read_file(folder / "saved") == "first\nsecond\r\nthird");
        CHECK(server.connections == 1);
    });
}

RONDO_TEST("http client: a body that is cut is an error, and a file that was there stays",
           "[http_client][both]") {
    rondo_tests::folder folder;
    co_await write_file(folder / "saved", "old");
    scripted_server server([](const seen_request&) {
        return std::string(then_close) + "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf";
    });
    co_await server.run([&]() -> task<> {
        http::session client;
        auto response = co_await client.get(server.url());
        std::uint64_t received = 0;
        try {
            co_await response.save_to(folder / "saved");
        } catch (const http::body_error& error) {
            received = error.bytes_received();
        }
        CHECK(received == 4);
        CHECK(co_await read_file(folder / "saved") == "old");
        const auto entries = co_await list_directory(folder / "");
        CHECK(entries.size() == 1);
    });
}

RONDO_TEST("http client: a coded body is decoded, unless it is asked for as it is",
           "[http_client]") {
    static constexpr unsigned char gzipped[] = {
        0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x03, 0xcb, 0x48,
        0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x86, 0xa6, 0x10, 0x36, 0x05, 0x00, 0x00, 0x00};
    const std::string coded(reinterpret_cast<const char*>(gzipped), sizeof gzipped);
    scripted_server server(
        [&](const seen_request&) { return reply(200, coded, "content-encoding: gzip\r\n"); });
    co_await server.run([&]() -> task<> {
        http::session client;
        auto decoded = co_await client.get(server.url());
        CHECK(co_await decoded.text() == "hello");
        auto as_sent = co_await client.get(server.url()).decode(false);
        CHECK(co_await as_sent.bytes() == coded);
        CHECK(server.requests[0].field("accept-encoding").find("gzip") != std::string::npos);
        CHECK(server.requests[1].field("accept-encoding") == "-");
    });
}

RONDO_TEST("http client: text knows its charset, and the body has a limit", "[http_client]") {
    scripted_server server([](const seen_request& request) {
        const std::string charset = request.line().find("latin") != std::string::npos
                                        ? "iso-8859-1"
                                        : "koi8-r";
        return reply(200, "gr\xfc\xdf", "content-type: text/plain; charset=" + charset + "\r\n");
    });
    co_await server.run([&]() -> task<> {
        http::session client;
        auto latin = co_await client.get(server.url("/latin"));
        CHECK(co_await latin.text() == "grüß");
        CHECK((co_await error_of(ask(client, server.url("/other")))).find("koi8-r") !=
              std::string::npos);
        auto limited = co_await client.get(server.url());
        bool was_refused = false;
        try {
            co_await limited.bytes(3);
        } catch (const http::limit_error&) {
            was_refused = true;
        }
        CHECK(was_refused);
        CHECK((co_await limited.bytes()).size() == 4);  // nothing was lost
    });
}

task<> read_after_close(http::response& response) { co_await response.read_some(); }

RONDO_TEST("http client: a response that was closed says so", "[http_client]") {
    const std::string large(1'000'000, 'x');
    scripted_server server([&](const seen_request&) { return reply(200, large); });
    co_await server.run([&]() -> task<> {
        http::session client;
        auto response = co_await client.get(server.url());
        response.close();
        response.close();
        std::string closed = "read";
        for (bool again = true; again;) {  // what had come is still there
            closed = co_await error_of(read_after_close(response));
            again = closed == "no error";
        }
        CHECK(closed == "the response is closed");
    });
}

}  // namespace
