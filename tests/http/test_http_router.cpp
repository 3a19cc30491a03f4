// SPDX-License-Identifier: MIT
// Routes, bodies and files, asked by a test_client.
#include "http/router_tools.hpp"

#include <filesystem>
#include <fstream>

#include "support/file_tools.hpp"

using namespace rondo;
using namespace std::chrono_literals;

namespace {

using namespace rondo_tests;
using http::reply;

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
