// SPDX-License-Identifier: MIT
// Routes, middleware and files, asked by a test_client.
#include <rondo/http.hpp>
#include <rondo/http/middleware.hpp>
#include <rondo/http/test_client.hpp>

#include <rondo/gather.hpp>

#include <filesystem>
#include <fstream>
#include <random>

#include "http/server_tools.hpp"
#include "support/file_tools.hpp"

using namespace rondo;
using namespace std::chrono_literals;

namespace {

using namespace rondo_tests;
using http::reply;

/// Answers with a name and all parameters.
auto named(std::string name, std::vector<std::string> parameters = {}) {
    return [name, parameters](http::request& request) {
        std::string text = name;
        for (const std::string& each : parameters)
            text += ' ' + each + '=' + std::string(request.parameter(each));
        return reply::text(text);
    };
}

task<std::string> body(http::request_builder request) {
    auto response = co_await std::move(request);
    const std::string text = co_await response.text();
    co_return std::to_string(response.status()) + ' ' + text;
}
task<std::string> field(http::request_builder request, std::string name) {
    auto response = co_await std::move(request);
    co_return std::string(response.header(name).value_or("(none)"));
}

RONDO_TEST("http router: literal before parameter before rest", "[http_router]", seeds(1)) {
    http::router site;
    site.get("/", named("root"));
    site.get("/a", named("a"));
    site.get("/a/", named("a slash"));
    site.get("/a/{x}/c", named("first", {"x"}));
    site.get("/{y}/b/d", named("second", {"y"}));
    site.get("/a/b/{z}", named("third", {"z"}));
    site.get("/f/{path...}", named("rest", {"path"}));
    site.get("/f/one", named("one"));
    site.get("/\xc3\xa4/{p}", named("umlaut", {"p"}));
    http::test_client client(site);
    const std::vector<std::pair<std::string, std::string>> rows = {
        {"/", "200 root"},
        {"/a", "200 a"},
        {"/a/", "200 a slash"},
        {"/a?x=/b", "200 a"},
        {"/a/b/c", "200 third z=c"},
        {"/a/q/c", "200 first x=q"},
        {"/a/b/d", "200 third z=d"},
        {"/q/b/d", "200 second y=q"},
        {"/f/one", "200 one"},
        {"/f/", "200 rest path="},
        {"/f/x/y%20z/", "200 rest path=x/y z/"},
        {"/%61", "200 a"},
        {"/%C3%A4/%2F%3f", "200 umlaut p=/?"},
        {"/a/x%2Fy/c", "200 first x=x/y"},
    };
    for (const auto& [path, expected] : rows) {
        INFO(path);
        CHECK(co_await body(client.get(path)) == expected);
    }
    const char* const missing[] = {"/A",         "/a/b",     "/a/b/c/d",  "/f",       "/f//x",
                                   "/f/./x",     "/f/../a",  "/f/%2e%2E", "/f/x%2Fy", "/%00",
                                   "/a/%zz/c",   "//a",      "/a//c",     "/q//d"};
    for (const char* path : missing) {
        const std::string said = co_await said_to(site, get(path, "connection: close\r\n"));
        INFO(path);
        CHECK(code_of(said) == 404);
    }
}

RONDO_TEST("http router: HEAD, OPTIONS, 405 and other methods", "[http_router]", seeds(1)) {
    http::router site;
    site.get("/x", named("got")).put("/x", named("put"));
    site.route("BREW", "/pot", named("brewed"));
    site.route("*", "/any", named("any")).post("/any", named("posted"));
    http::test_client client(site);
    CHECK(co_await body(client.head("/x")) == "200 ");
    CHECK(co_await field(client.head("/x"), "content-length") == "3");
    CHECK(co_await body(client.post("/x")) == "405 Method Not Allowed\n");
    CHECK(co_await field(client.post("/x"), "allow") == "GET, HEAD, PUT, OPTIONS");
    CHECK(co_await body(client.options("/x")) == "204 ");
    CHECK(co_await field(client.options("/x"), "allow") == "GET, HEAD, PUT, OPTIONS");
    CHECK(co_await body(client.request("BREW", "/pot")) == "200 brewed");
    CHECK(co_await body(client.del("/any")) == "200 any");
    CHECK(co_await body(client.post("/any")) == "200 posted");
    CHECK(code_of(co_await said_to(site, get("*", "", "OPTIONS"))) == 204);
    const std::string absolute = co_await said_to(site, get("http://h:1/x?y"));
    CHECK(code_of(absolute) == 200);
}

TEST_CASE("http router: malformed routes are refused", "[http_router]") {
    http::router site;
    site.get("/x/{a}", named("x"));
    for (const char* bad : {"", "x", "/a//b", "/a/../b", "/{a}/{a}", "/x{a}", "/{a...}/b", "/{}",
                            "/x/{b}"})
        CHECK_THROWS_AS(site.get(bad, named("y")), http::error);
    CHECK_THROWS_AS(site.route("G T", "/y", named("y")), http::error);
    CHECK_THROWS_AS(reply::redirect("/a\r\nx: y"), http::error);
    CHECK_THROWS_AS(reply::redirect("/a", 200), http::error);
    CHECK_THROWS_AS(reply::text("x").header("a b", "c"), http::error);
    CHECK_THROWS_AS(reply::text("x").cookie("a", "b;c"), http::error);
    CHECK_THROWS_AS(reply::text("x", 99), http::error);
    CHECK_THROWS_AS(http::reply_error(200), http::error);
}

RONDO_TEST("http router: mounted routers, and middleware around them", "[http_router]", seeds(1)) {
    http::router inner;
    inner.get("/", named("inner root"));
    inner.get("/{id}", named("inner", {"id"}));
    inner.use([](http::request& request, http::next_handler next) -> task<reply> {
        reply made = co_await next(request);
        made.header("x-inner", "yes");
        co_return made;
    });
    http::router site;
    site.mount("/api/v1", std::move(inner));
    site.get("/plain", named("plain"));
    site.not_found([](http::request&) { return reply::text("nothing here", 404); });
    site.use([](http::request& request, http::next_handler next) -> task<reply> {
        if (request.path() == "/shut") throw http::reply_error(403, "shut");
        reply made = co_await next(request);
        made.header("x-outer", "yes");
        co_return made;
    });
    http::test_client client(site);
    CHECK(co_await body(client.get("/api/v1/")) == "200 inner root");
    CHECK(co_await body(client.get("/api/v1")) == "200 inner root");  // by a redirect
    CHECK(co_await body(client.get("/api/v1/7")) == "200 inner id=7");
    CHECK(co_await field(client.get("/api/v1/7"), "x-inner") == "yes");
    CHECK(co_await field(client.get("/api/v1/7"), "x-outer") == "yes");
    CHECK(co_await field(client.get("/plain"), "x-inner") == "(none)");
    CHECK(co_await body(client.get("/shut")) == "403 shut\n");
    CHECK(co_await body(client.get("/none")) == "404 nothing here");
    CHECK(co_await field(client.get("/none"), "x-outer") == "yes");
}

RONDO_TEST("http router: a mounted router has its own parameters, slashes in them included",
           "[http_router]", seeds(1)) {
    http::router inner;
    inner.get("/x/{id}", named("inner", {"id", "shop"}));
    inner.get("/rest/{path...}", named("rest", {"path"}));
    http::router site;
    site.mount("/{shop}/{id}", std::move(inner));
    http::test_client client(site);
    CHECK(co_await body(client.get("/a/b/x/7")) == "200 inner id=7 shop=a");
    CHECK(co_await body(client.get("/a/b/x/7%2F8")) == "200 inner id=7/8 shop=a");
    CHECK(co_await body(client.get("/a/b/rest/7/8")) == "200 rest path=7/8");
    CHECK(co_await body(client.get("/a/b/rest/7%2F8")) == "404 Not Found\n");
}

RONDO_TEST("http router: a middleware may go on to the handler a second time", "[http_router]",
           seeds(1)) {
    http::router inner;
    int asked = 0;
    inner.get("/x/{id}", [&](http::request& request) {
        const std::string text = std::to_string(++asked) + ' ' + std::string(request.path());
        return reply::text(text + ' ' + std::string(request.parameter("id")),
                           asked == 1 ? 503 : 200);
    });
    http::router site;
    site.mount("/m", std::move(inner));
    site.use([](http::request& request, http::next_handler next) -> task<reply> {
        reply made = co_await next(request);
        if (made.status() == 503) made = co_await next(request);
        co_return made;
    });
    http::test_client client(site);
    CHECK(co_await body(client.get("/m/x/7")) == "200 2 /m/x/7 7");
}

RONDO_TEST("http router: a target that is a URL counts as its path and query", "[http_router]",
           seeds(1)) {
    http::router site;
    site.get("/target", [](http::request& request) {
        return reply::text(std::string(request.target()));
    });
    CHECK(body_of(co_await said_to(site, get("http://h/target?a=1"))) == "/target?a=1");
    site.get("/", [](http::request& request) {
        return reply::text(std::string(request.query("a").value_or("none")));
    });
    for (const char* target : {"http://h?a=1", "http://h/?a=1", "/?a=1"})
        CHECK(body_of(co_await said_to(site, get(target))) == "1");
    CHECK(body_of(co_await said_to(site, get("http://h"))) == "none");
}

RONDO_TEST("http router: bodies: text, form, multipart, too large", "[http_router]", seeds(1)) {
    http::router site;
    const auto form = [](http::request& request) -> task<reply> {
        const http::form all = co_await request.form();
        co_return reply::text(std::string(all.get("a").value_or("-")));
    };
    const auto upload = [](http::request& request) -> task<reply> {
        std::string said;
        auto parts = request.multipart();
        while (co_await parts.next()) {
            const std::string text = co_await parts.text();
            said += parts.name() + (parts.is_file() ? "(" + parts.file_name() + ")=" : "=") + text +
                    ';';
        }
        co_return reply::text(said);
    };
    const auto text = [](http::request& request) -> task<reply> {
        std::string all = co_await request.text(10);
        co_return reply::text(std::move(all));
    };
    site.post("/form", form).post("/upload", upload).post("/text", text);
    http::test_client client(site);
    CHECK(co_await body(client.post("/form").form("a", "x y").form("b", "2")) == "200 x y");
    CHECK(co_await body(client.post("/form").body("a=1", "text/plain")) ==
          "415 the body is not application/x-www-form-urlencoded\n");
    CHECK(co_await body(client.post("/upload").part("n", "1").part("m", "2\r\n")) ==
          "200 n=1;m=2\r\n;");
    CHECK(code_of(co_await said_to(site, post("/upload", "x"))) == 415);
    const std::string type = "content-type: multipart/form-data; boundary=b\r\n";
    CHECK(code_of(co_await said_to(site, post("/upload", "--b\r\nx", type))) == 400);
    CHECK(co_await body(client.post("/text").body("0123456789")) == "200 0123456789");
    CHECK(co_await body(client.post("/text").body("0123456789a")) ==
          "413 the body is longer than 10 bytes\n");
    CHECK(code_of(co_await said_to(site, post("/text", "\xff"))) == 400);
    CHECK(code_of(co_await said_to(
              site, post("/text", "x", "content-type: text/plain; charset=koi8-r\r\n"))) == 415);
}

RONDO_TEST("http router: cookies, redirects, the client behind a proxy", "[http_router]",
           seeds(1)) {
    http::router site;
    site.get("/set", [](http::request&) {
        return reply::redirect("/get").cookie("id", "7", {.max_age = 60s, .secure = false});
    });
    site.get("/get", [](http::request& request) {
        return reply::text(std::string(request.cookie("id").value_or("none")));
    });
    http::test_client client(site);
    CHECK(co_await body(client.get("/set")) == "200 7");
    CHECK(co_await field(client.get("/set").redirects(0), "set-cookie") ==
          "id=7; Path=/; Max-Age=60; HttpOnly; SameSite=Lax");
}

RONDO_TEST("http middleware: cors, basic_auth, rate_limit", "[http_router]", seeds(1)) {
    http::router site;
    site.get("/", named("x"));
    site.get("/no", [](http::request&) -> reply { throw http::reply_error(409, "no"); });
    site.use(http::cors({.origins = "https://a.example, https://b.example"}));
    http::test_client client(site);
    const std::string allow = "access-control-allow-origin";
    CHECK(co_await field(client.get("/").header("origin", "https://b.example"), allow) ==
          "https://b.example");
    CHECK(co_await field(client.get("/").header("origin", "https://c.example"), allow) ==
          "(none)");
    CHECK(co_await field(client.get("/no").header("origin", "https://b.example"), allow) ==
          "https://b.example");
    CHECK(co_await body(client.get("/no").header("origin", "https://b.example")) == "409 no\n");
    CHECK(co_await field(client.get("/"), "vary") == "origin");
    auto preflight = client.options("/").header("origin", "https://a.example");
    preflight.header("access-control-request-method", "PUT");
    preflight.header("access-control-request-headers", "x-a");
    CHECK(co_await field(preflight, "access-control-allow-headers") == "x-a");
    CHECK(co_await body(preflight) == "204 ");
    CHECK_THROWS_AS(http::cors({.credentials = true}), http::error);

    http::router closed;
    closed.get("/", [](http::request& request) { return reply::text(request.user()); });
    closed.use(http::basic_auth("the shop", "ann", "pass:word"));
    http::test_client guest(closed);
    CHECK(co_await field(guest.get("/"), "www-authenticate") ==
          "Basic realm=\"the shop\", charset=\"UTF-8\"");
    CHECK(co_await body(guest.get("/").basic_auth("ann", "pass:word")) == "200 ann");
    CHECK(co_await body(guest.get("/").basic_auth("ann", "other")) == "401 Unauthorized\n");
    CHECK(co_await body(guest.get("/").header("authorization", "Basic !!!")) ==
          "401 Unauthorized\n");

    http::router busy;
    busy.get("/", named("x"));
    busy.use(http::rate_limit({.per_second = 2, .burst = 3}));
    http::test_client eager(busy);
    for (int i = 0; i < 3; ++i) CHECK(co_await body(eager.get("/")) == "200 x");
    CHECK(co_await field(eager.get("/"), "retry-after") == "1");
    co_await sleep(600ms);
    CHECK(co_await body(eager.get("/")) == "200 x");
    CHECK(co_await body(eager.get("/")) == "429 Too Many Requests\n");
}

RONDO_TEST("http request: a trusted proxy names the client, and a client cannot forge that",
           "[http_router]") {
    http::router site;
    site.get("/", [](http::request& request) { return reply::text(request.remote().address()); });
    site.use(http::rate_limit({.per_second = 0.001, .burst = 3}));
    auto listener = tcp_listener::bind({"127.0.0.1", 0});
    http::session client("http://" + listener.local().text());
    http::server_options options;
    options.trusted_proxies = "127.0.0.1, 10.0.0.0/8";
    auto serving = http::serve(std::move(listener), site, options);
    auto asking = [&]() -> task<> {
        const std::vector<std::pair<std::string, std::string>> rows = {
            {"9.9.9.9", "200 9.9.9.9"},
            {"10.9.9.9, 9.9.9.8,10.0.0.2", "200 9.9.9.8"},
            {"\", 9.9.9.7", "200 9.9.9.7"},  // the quote is the client's
            {"\"a, 9.9.9.6", "200 9.9.9.6"},
            {"unknown", "200 127.0.0.1"},
        };
        for (const auto& [said, expected] : rows) {
            auto request = client.get("/");
            request.header("x-forwarded-for", said);
            INFO(said);
            CHECK(co_await body(std::move(request)) == expected);
        }
        // An IPv4 address in IPv6 is one client, not all of them.
        for (int i = 0; i < 5; ++i) {
            auto request = client.get("/");
            request.header("x-forwarded-for", "::ffff:7.7.7." + std::to_string(i));
            CHECK((co_await body(std::move(request))).starts_with("200 "));
        }
        std::string last;
        for (int i = 0; i < 4; ++i) {
            auto request = client.get("/");
            request.header("x-forwarded-for", "2001:db8::" + std::to_string(i + 1));
            last = co_await body(std::move(request));
        }
        CHECK(last == "429 Too Many Requests\n");
        co_await client.close();
    };
    auto asked = asking();
    co_await race(std::move(serving), std::move(asked));
}

#ifdef RONDO_WITH_ZLIB
RONDO_TEST("http middleware: compress, of bodies and of streams", "[http_router]", seeds(1)) {
#ifdef RONDO_WITH_BROTLI
    const std::string best = "br";
#else
    const std::string best = "gzip";
#endif
    const std::string text(5000, 'x');
    http::router site;
    site.get("/text", [&](http::request&) { return reply::text(text).header("etag", "\"1\""); });
    site.get("/short", named("x"));
    site.get("/image", [&](http::request&) { return reply::bytes(text, "image/png"); });
    site.get("/stream", [](http::request&) {
        return reply::stream("text/plain", [](http::body_writer& out) -> task<> {
            co_await out.write_all("one ");
            co_await sleep(1h);
            co_await out.write_all("two");
        });
    });
    site.use(http::compress());
    http::test_client client(site);
    CHECK(co_await body(client.get("/text")) == "200 " + text);
    const std::vector<std::pair<std::string, std::string>> rows = {
        {"gzip", "gzip"},           {"br", best},
        {"gzip, br", best},         {"*", best},
        {"br;q=0.5, gzip", "gzip"}, {"gzip;q=0.4, br;q=0.45", best},
        {"br;q=0, *;q=0.1", "gzip"}, {"gzip;q=0, br;q=0, *", "(none)"},
        {"identity", "(none)"},     {"x-gzip", "(none)"},
    };
    for (const auto& [accepted, coding] : rows) {
        INFO(accepted);
        auto response = co_await client.get("/text").header("accept-encoding", accepted);
        CHECK(response.header("content-encoding").value_or("(none)") == coding);
        CHECK(response.headers().get("vary") == "accept-encoding");
    }
    CHECK(co_await field(client.get("/text"), "etag") == "W/\"1\"");
    CHECK(co_await field(client.get("/text"), "vary") == "accept-encoding");
    CHECK(co_await field(client.get("/short"), "content-encoding") == "(none)");
    CHECK(co_await field(client.get("/image"), "content-encoding") == "(none)");
    for (const char* coding : {"gzip", "br"}) {  // each piece can be decoded at once
        auto asked = client.get("/stream");
        asked.header("accept-encoding", coding).decode(true);
        auto response = co_await std::move(asked);
        const auto first = co_await response.read_some();
        CHECK(std::string(first.text()) == "one ");
        CHECK(response.header("content-encoding") == (coding == best ? best : "gzip"));
    }
}

/// Text of three letters, or bytes that cannot be made smaller.
std::string sample(std::size_t size, bool is_text) {
    std::mt19937 random(1);
    std::string made(size, ' ');
    for (char& each : made) {
        const auto drawn = random();
        each = is_text ? "abc"[drawn % 3] : static_cast<char>(drawn);
    }
    return made;
}

RONDO_TEST("http middleware: two tasks cannot write a compressed stream", "[http_router]",
           seeds(1)) {
    const std::string data = sample(300000, false);
    bool was_refused = false;
    const auto write = [&](http::body_writer& out) -> task<> {
        try {
            co_await out.write_all(data);
        } catch (const invalid_state_error&) {
            was_refused = true;
        }
    };
    http::router site;
    site.get("/", [&](http::request&) {
        return reply::stream("text/plain", [&](http::body_writer& out) -> task<> {
            auto first = write(out), second = write(out);
            co_await gather(std::move(first), std::move(second));
        });
    });
    site.use(http::compress());
    http::test_client client(site);
    auto asked = client.get("/");
    asked.header("accept-encoding", "br, gzip").decode(true);
    auto response = co_await std::move(asked);
    const std::string came = co_await response.bytes();
    CHECK((came == data));
    CHECK(was_refused);
}

RONDO_TEST("http middleware: compressed bodies of every size are whole", "[http_router]",
           seeds(1).limit(9h)) {
    const std::size_t sizes[] = {64, 160, 256, 336, 352, 1030, 1060, 2050, 3072};  // KiB
    for (const int level : {2, 5}) {
        std::string data;
        http::router site;
        site.get("/body", [&](http::request&) { return reply::bytes(data, "text/plain"); });
        site.get("/stream", [&](http::request&) {
            return reply::stream("text/plain", [&](http::body_writer& out) -> task<> {
                const std::size_t half = data.size() / 2;
                co_await out.write_all(std::string_view(data).substr(0, half));
                co_await out.write_all(std::string_view(data).substr(half));
            });
        });
        site.use(http::compress({.level = level}));
        http::test_client client(site);
        for (const std::size_t size : sizes) {
            for (const bool is_text : {true, false}) {
                data = sample(size * 1024, is_text);
                for (const char* path : {"/body", "/stream"}) {
                    INFO(path << " of " << size << " KiB" << (is_text ? " text" : "") << ", level "
                              << level);
                    auto asked = client.get(path);
                    asked.header("accept-encoding", "br, gzip").decode(true);
                    auto response = co_await std::move(asked);
                    CHECK(response.headers().contains("content-encoding"));
                    const std::string came = co_await response.bytes();
                    CHECK((came == data));
                }
            }
        }
    }
}
#endif

RONDO_TEST("http files: whole, in part, unchanged; and nothing outside of the folder",
           "[http_router][kernel]") {
    const folder scratch;
    namespace fs = std::filesystem;
    const fs::path root = scratch / "public";
    fs::create_directories(root / "sub");
    fs::create_directories(root / ".git");
    const auto write = [](const fs::path& where, std::string_view text) {
        std::ofstream(where) << text;
    };
    write(root / "a.txt", "0123456789");
    write(root / "empty", "");
    write(root / "index.html", "home");
    write(root / "sub" / "index.html", "below");
    write(root / ".git" / "config", "secret");
    write(scratch / "secret", "secret");
    fs::create_symlink("../secret", root / "out");
    fs::create_symlink("a.txt", root / "in");
    fs::create_symlink("..", root / "up");
    http::router site;
    site.files("/s", root.string(), {.cache_control = "max-age=60"});
    site.get("/one", [&](http::request&) { return reply::file(root / "a.txt", "text/x-one"); });
    site.get("/no", [&](http::request&) { return reply::file(root / "none"); });
    http::test_client client(site);
    CHECK(co_await body(client.get("/s/a.txt")) == "200 0123456789");
    CHECK(co_await body(client.get("/s/in")) == "200 0123456789");
    CHECK(co_await body(client.get("/s")) == "200 home");
    CHECK(co_await body(client.get("/s/sub")) == "200 below");
    CHECK(co_await body(client.get("/s/empty")) == "200 ");
    CHECK(co_await body(client.head("/s/a.txt")) == "200 ");
    CHECK(co_await field(client.head("/s/a.txt"), "content-length") == "10");
    CHECK(co_await field(client.get("/s/a.txt"), "content-type") == "text/plain; charset=utf-8");
    CHECK(co_await field(client.get("/s/a.txt"), "cache-control") == "max-age=60");
    CHECK(co_await body(client.get("/one")) == "200 0123456789");
    CHECK(co_await field(client.get("/one"), "content-type") == "text/x-one");
    CHECK(co_await body(client.get("/no")) == "404 Not Found\n");
    site.get("/error", [&](http::request&) {
        return reply::file(root / "a.txt").set_status(410).header("etag", "\"mine\"");
    });
    CHECK(co_await body(client.get("/error").range(2, 4)) == "410 0123456789");
    CHECK(co_await body(client.get("/error").header("if-none-match", "*")) == "410 0123456789");
    site.get("/tagged", [&](http::request&) {
        return reply::file(root / "a.txt").header("etag", "\"mine\"");
    });
    auto tagged = co_await client.get("/tagged");
    CHECK(tagged.headers().get_all("etag") == std::vector<std::string_view>{"\"mine\""});
    CHECK(co_await tagged.text() == "0123456789");
    for (const char* path : {"/s/out", "/s/up/secret", "/s/.git/config", "/s/none", "/s/a.txt/",
                             "/s/a.txt/x", "/s/%2e%2e/secret", "/s/..%2fsecret"}) {
        INFO(path);
        CHECK(co_await body(client.get(path)) == "404 Not Found\n");
    }

    const std::string tag = co_await field(client.get("/s/a.txt"), "etag");
    const std::string date = co_await field(client.get("/s/a.txt"), "last-modified");
    CHECK(co_await body(client.get("/s/a.txt").header("if-none-match", "\"x\", " + tag)) ==
          "304 ");
    CHECK(co_await body(client.get("/s/a.txt").header("if-modified-since", date)) == "304 ");
    CHECK(co_await body(client.get("/s/a.txt").header("if-match", "\"x\"")) ==
          "412 Precondition Failed\n");
    CHECK(co_await body(client.get("/s/a.txt").range(2, 4)) == "206 234");
    CHECK(co_await field(client.get("/s/a.txt").range(2, 4), "content-range") == "bytes 2-4/10");
    CHECK(co_await body(client.get("/s/a.txt").header("range", "bytes=-3")) == "206 789");
    CHECK(co_await body(client.get("/s/a.txt").header("range", "bytes=0-1,4-5")) ==
          "200 0123456789");
    CHECK(co_await body(client.get("/s/a.txt").range(10)) == "416 Range Not Satisfiable\n");
    CHECK(co_await body(client.get("/s/a.txt").range(2, 4).header("if-range", tag)) == "206 234");
    CHECK(co_await body(client.get("/s/a.txt").range(2, 4).header("if-range", "\"old\"")) ==
          "200 0123456789");
}

RONDO_TEST("http server: the access log has a line for each request", "[http_router]", seeds(1)) {
    http::router site;
    std::vector<std::string> lines;
    site.get("/x", named("got"));
    site.access_log([&](const http::access& of) { lines.push_back(http::combined_log(of)); });
    co_await said_to(site, get("/x?a=%0a\"", "user-agent: a\"b\x80\r\n") + get("/none"));
    REQUIRE(lines.size() == 2);
    CHECK_THAT(lines[0], Catch::StartsWith("- - - ["));
    CHECK_THAT(lines[0], Catch::EndsWith(
                             "] \"GET /x?a=%0a\\\" HTTP/1.1\" 200 3 \"-\" \"a\\\"b\\x80\""));
    CHECK_THAT(lines[1], Catch::Contains("\"GET /none HTTP/1.1\" 404 10"));
}

}  // namespace
