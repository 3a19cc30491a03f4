// SPDX-License-Identifier: MIT
// The jar of cookies: what is taken, what is sent back and to whom, how long, and its file.
#include <rondo/http/cookies.hpp>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http/set_cookie.hpp"
#include "support/catch.hpp"

using namespace std::chrono_literals;
using rondo::http::cookie_jar;
using rondo::http::date_time;
using rondo::http::url;

namespace {

constexpr date_time now(1'700'000'000s);

/// The cookies that `to` gets after `from` has set `text`.
std::string sent(std::string_view text, const char* from, const char* to, date_time when = now) {
    cookie_jar jar;
    jar.receive(url(from), text, now);
    return jar.header(url(to), when);
}

bool is_taken(std::string_view text, const char* from = "https://www.example.org/a/b") {
    cookie_jar jar;
    return jar.receive(url(from), text, now) && jar.size() == 1;
}

}  // namespace

TEST_CASE("cookies: names and values", "[http_cookies]") {
    const char* home = "http://a.org/";
    const std::vector<std::pair<std::string, const char*>> rows = {
        {"a=b", "a=b"},
        {" a = b ; Secure-not", "a=b"},
        {"a=b=c; x", "a=b=c"},
        {"a=\"b c\"", "a=\"b c\""},
        {"a=", "a="},
        {"=b", "b"},
        {"b", "b"},
        {"", ""},
        {"=", ""},
        {";a=b", ""},
        {"a=\xc3\xa4", "a=\xc3\xa4"},
        {"a=b\x01", ""},
        {"a=b\r\nX: y", ""},
        {std::string("a=b\0", 4), ""},
        {"a=b\tc", ""},
        {"a=" + std::string(4095, 'x'), nullptr},
        {"a=" + std::string(4096, 'x'), ""},
    };
    for (const auto& [text, expected] : rows) {
        INFO(text.substr(0, 60));
        const std::string wanted = expected != nullptr ? expected : text;
        CHECK(sent(text, home, home) == wanted);
    }
}

TEST_CASE("cookies: a cookie goes to its domain alone", "[http_cookies]") {
    struct row {
        const char* text;
        const char* from;
        const char* to;
        bool is_sent;
    };
    const std::vector<row> rows = {
        {"a=b", "http://a.org/", "http://a.org:8080/", true},
        {"a=b", "http://a.org/", "http://www.a.org/", false},
        {"a=b; Domain=a.org", "http://a.org/", "http://www.a.org/", true},
        {"a=b; domain=.A.ORG", "http://www.a.org/", "http://x.a.org/", true},
        {"a=b; Domain=a.org", "http://www.a.org/", "http://a.org/", true},
        {"a=b; Domain=a.org", "http://www.a.org/", "http://ba.org/", false},
        {"a=b; Domain=www.a.org", "http://a.org/", "http://www.a.org/", false},
        {"a=b; Domain=b.org", "http://a.org/", "http://b.org/", false},
        {"a=b; Domain=", "http://a.org/", "http://a.org/", true},
        {"a=b; Domain=b.org; Domain=a.org", "http://a.org/", "http://x.a.org/", true},
        {"a=b; Domain=org", "http://a.org/", "http://b.org/", false},
        {"a=b; Domain=localhost", "http://localhost/", "http://localhost/", true},
        {"a=b; Domain=localhost", "http://localhost/", "http://x.localhost/", false},
        {"a=b; Domain=1.2.3.4", "http://1.2.3.4/", "http://1.2.3.4/", true},
        {"a=b; Domain=3.4", "http://1.2.3.4/", "http://1.2.3.4/", false},
        {"a=b; Domain=[::1]", "http://[::1]/", "http://[::1]/", false},
        {"a=b", "http://[::1]/", "http://[::1]/", true},
        {"a=b", "unix:/run/x:/", "http://localhost/", false},
        {"a=b", "http://localhost/", "unix:/run/x:/", false},
        {"a=b; Secure", "https://a.org/", "https://a.org/", true},
        {"a=b; Secure", "https://a.org/", "http://a.org/", false},
        {"a=b; Secure", "https://a.org/", "wss://a.org/", true},
        {"a=b; Secure", "http://a.org/", "https://a.org/", false},
        {"a=b; HttpOnly; SameSite=Strict", "http://a.org/", "http://a.org/", true},
        {"a=b; Path=/x", "http://a.org/", "http://a.org/x", true},
        {"a=b; Path=/x", "http://a.org/", "http://a.org/x/y?z", true},
        {"a=b; Path=/x/", "http://a.org/", "http://a.org/x", false},
        {"a=b; Path=/x", "http://a.org/", "http://a.org/xy", false},
        {"a=b; Path=x", "http://a.org/p/q", "http://a.org/p/", true},
        {"a=b; Path=/x\ty", "http://a.org/", "http://a.org/", true},
        {"a=b", "http://a.org/p/q", "http://a.org/p", true},
        {"a=b", "http://a.org/p/q", "http://a.org/", false},
        {"a=b", "http://a.org/p", "http://a.org/", true},
    };
    for (const row& r : rows) {
        INFO(r.text << " from " << r.from << " to " << r.to);
        CHECK((sent(r.text, r.from, r.to) == "a=b") == r.is_sent);
    }
#ifdef RONDO_WITH_PSL
    CHECK_FALSE(is_taken("a=b; Domain=co.uk", "https://a.co.uk/"));
    CHECK(is_taken("a=b; Domain=a.co.uk", "https://x.a.co.uk/"));
    CHECK(sent("a=b; Domain=github.io", "https://github.io/", "https://x.github.io/").empty());
#endif
}

TEST_CASE("cookies: what a name promises is kept", "[http_cookies]") {
    CHECK(is_taken("__Secure-a=b; Secure"));
    CHECK_FALSE(is_taken("__secure-a=b"));
    CHECK_FALSE(is_taken("=__Secure-a=b; Secure"));
    CHECK(is_taken("__Host-a=b; Secure; Path=/"));
    CHECK_FALSE(is_taken("__Host-a=b; Secure"));
    CHECK_FALSE(is_taken("__HOST-a=b; Secure; Path=/; Domain=example.org"));
    CHECK_FALSE(is_taken("__Host-a=b; Secure; Path=/; Domain=www.example.org"));
    CHECK_FALSE(is_taken("__Host-a=b; Path=/"));
}

TEST_CASE("cookies: they end, and an end that has passed removes", "[http_cookies]") {
    const char* home = "https://a.org/";
    const auto at = [&](std::string_view text, std::chrono::seconds after) {
        return !sent(text, home, home, now + after).empty();
    };
    CHECK(at("a=b; Max-Age=10", 9s));
    CHECK_FALSE(at("a=b; Max-Age=10", 10s));
    CHECK_FALSE(at("a=b; Max-Age=0", 0s));
    CHECK_FALSE(at("a=b; max-age=-99999999999999999999", 0s));
    CHECK(at("a=b; Max-Age=99999999999999999999", 24h * 399));
    CHECK_FALSE(at("a=b; Max-Age=99999999999999999999", 24h * 401));
    CHECK(at("a=b; Max-Age=x", 24h * 5000));
    CHECK(at("a=b; Max-Age=100; Expires=Thu, 01 Jan 1970 00:00:00 GMT", 50s));
    CHECK(at("a=b; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=100", 50s));
    CHECK_FALSE(at("a=b; Expires=Thu, 01-Jan-70 00:00:00 GMT", 0s));
    CHECK(at("a=b; Expires=Tue, 14 Nov 2023 22:13:30 GMT", 9s));
    CHECK_FALSE(at("a=b; Expires=Tue, 14 Nov 2023 22:13:30 GMT", 10s));

    cookie_jar jar;
    jar.receive(url(home), "a=1", now);
    jar.receive(url(home), "b=2; Max-Age=5", now);
    CHECK(jar.receive(url(home), "a=; Max-Age=0", now));
    CHECK(jar.header(url(home), now) == "b=2");
    jar.expire(now + 5s);
    CHECK(jar.empty());
}

TEST_CASE("cookies: dates as servers have sent them", "[http_cookies]") {
    using rondo::http::parse_cookie_date;
    const date_time when(784'111'777s);
    for (const char* text : {"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT",
                             "Sun Nov  6 08:49:37 1994", "6 NOVEMBER 1994 8:49:37",
                             "1994 Nov 06 08:49:37 +0100", "08:49:37x 6th nov 94"})
        CHECK(parse_cookie_date(text) == when);
    for (const char* text :
         {"", "Sun", "06 Nov 1994", "06 Nov 08:49:37", "31 Feb 1994 08:49:37",
          "06 Nov 1994 24:00:00", "06 Nov 1600 08:49:37", "06 Foo 94 1:1:1", "06 Nov 199 08:49:37"})
        CHECK_FALSE(parse_cookie_date(text));
}

TEST_CASE("cookies: longer paths first, then older ones; a new value keeps its place",
          "[http_cookies]") {
    cookie_jar jar;
    const url from("https://a.org/x/y");
    rondo::http::fields headers;
    headers.add("Set-Cookie", "a=1; Path=/").add("X", "n=n").add("set-cookie", "b=2; Path=/x");
    headers.add("set-cookie", "c=3; Path=/").add("set-cookie", "a=4; Path=/");
    jar.receive(from, headers, now);
    CHECK(jar.header(from, now) == "b=2; a=4; c=3");
    CHECK(jar.header(url("http://b.org"), now).empty());
}

TEST_CASE("cookies: plain http cannot replace what https has set", "[http_cookies]") {
    cookie_jar jar;
    jar.receive(url("https://a.org/x/"), "a=1; Secure", now);
    CHECK_FALSE(jar.receive(url("http://a.org/x/"), "a=2", now));
    CHECK_FALSE(jar.receive(url("http://a.org/x/y/"), "a=; Max-Age=0; Path=/x", now));
    CHECK_FALSE(jar.receive(url("http://b.a.org/x/"), "a=2; Domain=a.org", now));
    CHECK(jar.receive(url("http://a.org/"), "a=2", now));  // another path
    CHECK(jar.header(url("https://a.org/x/"), now) == "a=1; a=2");
}

TEST_CASE("cookies: a server cannot fill the jar", "[http_cookies]") {
    cookie_jar jar;
    jar.receive(url("http://b.org/"), "keep=1", now);
    for (int i = 0; i < 200; ++i)
        jar.receive(url("http://a.org/"), "n" + std::to_string(i) + "=1", now);
    CHECK(jar.size() == 1 + cookie_jar::per_domain_max);
    CHECK(jar.header(url("http://b.org/"), now) == "keep=1");
    for (int i = 0; i < 2900; ++i)
        jar.receive(url("http://h" + std::to_string(i) + ".org/"), "a=1", now);
    CHECK(jar.size() == cookie_jar::cookies_max);
}

TEST_CASE("cookies: saved and loaded", "[http_cookies]") {
    cookie_jar jar;
    jar.receive(url("https://a.org/"), "a=1; Secure; HttpOnly; Path=/x; Max-Age=60", now);
    jar.receive(url("http://www.b.org/"), "b=2=; Domain=b.org", now);
    const std::string text = jar.text();
    CHECK(text ==
          "# Netscape HTTP Cookie File\n"
          "#HttpOnly_a.org\tFALSE\t/x\tTRUE\t1700000060\ta\t1\n"
          ".b.org\tTRUE\t/\tFALSE\t0\tb\t2=\n");
    cookie_jar again;
    again.load(text);
    CHECK(again.text() == text);
    CHECK(again.header(url("http://x.b.org/"), now) == "b=2=");
    again.load("# comment\r\n\r\nC.org\tFALSE\t/\tFALSE\t0\tempty\r\n");
    CHECK(again.header(url("http://c.org/"), now) == "empty=");

    for (const char* bad : {"x", "a.org\tTRUE\t/\tFALSE\tsoon\ta\tb", "\tTRUE\t/\tFALSE\t0\ta\tb",
                            ".\tTRUE\t/\tFALSE\t0\ta\tb", "a.org\tTRUE\tx\tFALSE\t0\ta\tb"})
        CHECK_THROWS_WITH(again.load("\n" + std::string(bad)), Catch::Contains("line 2"));
    CHECK_THROWS_AS(again.load("a.org\tTRUE\t/\tFALSE\t0\ta\tb;c"), rondo::http::error);
}

TEST_CASE("cookies: set by hand", "[http_cookies]") {
    cookie_jar jar;
    jar.set({"a", "1", "a.org"});
    rondo::http::cookie wide("b", "2", "a.org", false);
    wide.path = "";
    jar.set(wide);
    CHECK(jar.header(url("http://a.org/x"), now) == "a=1; b=2");
    CHECK(jar.header(url("http://w.a.org/x"), now) == "b=2");
    for (const char* bad : {"x;y", "x\r\n", "x\t"}) {
        CHECK_THROWS_AS(jar.set({"a", bad, "a.org"}), rondo::http::error);
        CHECK_THROWS_AS(jar.set({bad, "1", "a.org"}), rondo::http::error);
    }
    CHECK_THROWS_AS(jar.set({"a=b", "1", "a.org"}), rondo::http::error);
    CHECK(jar.begin()->name == "a");
    jar.clear();
    CHECK(jar.empty());
}
