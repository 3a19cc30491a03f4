// SPDX-License-Identifier: MIT
// URLs: their parts, the refusals, the table of RFC 3986, section 5.4, and the building of queries.
#include <rondo/http/url.hpp>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support/catch.hpp"

using rondo::http::host_kind;
using rondo::http::url;

namespace {

std::string refusal(std::string_view text) {
    try {
        return "taken as " + url(text).text_with_password();
    } catch (const rondo::http::url_error& error) {
        return error.what();
    }
}

std::string resolved(const char* base, std::string_view reference) {
    try {
        return url(base).resolve(reference).text_with_password();
    } catch (const rondo::http::url_error& error) {
        return error.what();
    }
}

}  // namespace

TEST_CASE("url: its parts are found", "[url]") {
    struct row {
        const char* text;
        const char* host;
        int port;
        const char* target;
        const char* authority;
        const char* origin;
    };
    const std::vector<row> rows = {
        {"http://a.org", "a.org", 80, "/", "a.org", "http://a.org"},
        {"HTTP://A.Org:80/", "a.org", 80, "/", "a.org", "http://a.org"},
        {"https://a.org:443/", "a.org", 443, "/", "a.org", "https://a.org"},
        {"https://a.org:80/", "a.org", 80, "/", "a.org:80", "https://a.org:80"},
        {"wss://a.org/chat", "a.org", 443, "/chat", "a.org", "wss://a.org"},
        {"http://a.org:/x", "a.org", 80, "/x", "a.org", "http://a.org"},
        {"http://a.org?q=1", "a.org", 80, "/?q=1", "a.org", "http://a.org"},
        {"http://a.org#top", "a.org", 80, "/", "a.org", "http://a.org"},
        {"http://a_b.org:8080/x/y?z#f?g", "a_b.org", 8080, "/x/y?z", "a_b.org:8080",
         "http://a_b.org:8080"},
        {"http://127.0.0.1:65535/a@b:c", "127.0.0.1", 65535, "/a@b:c", "127.0.0.1:65535",
         "http://127.0.0.1:65535"},
        {"http://[::1]/x", "::1", 80, "/x", "[::1]", "http://[::1]"},
        {"http://[0:0::FFFF:1.2.3.4]:81?x", "::ffff:1.2.3.4", 81, "/?x", "[::ffff:1.2.3.4]:81",
         "http://[::ffff:1.2.3.4]:81"},
        {"http://[fe80::1%25eth0]:81/", "fe80::1", 81, "/", "[fe80::1]:81",
         "http://[fe80::1%eth0]:81"},
        {"http://[fe80::1%2]/", "fe80::1", 80, "/", "[fe80::1]", "http://[fe80::1%2]"},
        {"http://a/\xc3\xa4|{%20}%?[b]", "a", 80, "/%C3%A4%7C%7B%20%7D%?%5Bb%5D", "a", "http://a"},
        {"http://3com.org./", "3com.org.", 80, "/", "3com.org.", "http://3com.org."},
        {"http://xn--bcher-kva.example/", "xn--bcher-kva.example", 80, "/", "xn--bcher-kva.example",
         "http://xn--bcher-kva.example"},
        {"http://a/b/../c/./d", "a", 80, "/b/../c/./d", "a", "http://a"},
        {"http://a/?", "a", 80, "/?", "a", "http://a"},
    };
    for (const row& r : rows) {
        INFO(r.text);
        const url parsed{std::string_view(r.text)};
        CHECK(parsed.host() == r.host);
        CHECK(parsed.port() == r.port);
        CHECK(parsed.target() == r.target);
        CHECK(parsed.authority() == r.authority);
        CHECK(parsed.origin() == r.origin);
        CHECK(url(parsed.text()) == parsed);  // the text is a fixed point
    }
    const url parts("https://a/b?c=d#e");
    CHECK(parts.scheme() == "https");
    CHECK(parts.is_http());
    CHECK(parts.is_secure());
    CHECK(parts.path() == "/b");
    CHECK(parts.query() == "c=d");
    CHECK(parts.fragment() == "e");
    CHECK(parts.without_fragment().text() == "https://a/b?c=d");
    CHECK(url("http://a/?#").has_query());
    CHECK(url("http://a/?#").has_fragment());
    CHECK_FALSE(url("http://a/#").has_query());
    CHECK(url("http://[fe80::1%25eth0]/").host_with_zone() == "fe80::1%eth0");
    CHECK(url("http://[fe80::1%25eth0]/").zone() == "eth0");
    CHECK(url("http://1.2.3.4").kind() == host_kind::ipv4);
    CHECK(url("http://[::]").kind() == host_kind::ipv6);
    CHECK(url("http://a").kind() == host_kind::name);
    CHECK(url().empty());
    CHECK(url().path().empty());
}

TEST_CASE("url: schemes without a host are taken, for others to refuse", "[url]") {
    CHECK(url("file:///etc/x").path() == "/etc/x");
    CHECK(url("mailto:a@b.org").path() == "a@b.org");
    CHECK_FALSE(url("file:///etc/x").is_http());
    CHECK(url("file:///etc/x").port() == 0);
}

TEST_CASE("url: what is not clearly right is refused with the reason", "[url]") {
    const std::vector<std::pair<std::string, const char*>> rows = {
        {"", "has no scheme"},
        {"a.org/x", "has no scheme"},
        {"localhost:8080/x", "has no scheme"},
        {"://a.org", "has no scheme"},
        {"1http://a.org", "has no scheme"},
        {"//a.org/", "has no scheme"},
        {"http:/a.org", "names no host"},
        {"https:a.org", "names no host"},
        {"http://", "names no host"},
        {"http:///x", "names no host"},
        {"http://:80/", "names no host"},
        {"http://u@/", "names no host"},
        {"http://a.org\\@b.org/", "a backslash at position 13"},
        {"http://u:secret@v@a.org/", "two @"},
        {"http://a b/", "a space at position 9"},
        {"http://a/b\r\nX: y", "a control character at position 11"},
        {std::string("http://a\0.org/", 14), "a control character at position 9"},
        {"http://a/\x7f", "a control character at position 10"},
        {"http://a.org:0/", "not a number from 1 to 65535"},
        {"http://a.org:65536/", "not a number from 1 to 65535"},
        {"http://a.org:+80/", "not a number from 1 to 65535"},
        {"http://a.org:80:80/", "not a number from 1 to 65535"},
        {"http://user:secret/x@a.org/", "not a number from 1 to 65535"},
        {"http://[::1/", "is not closed"},
        {"http://[]/", "not an IPv6 address"},
        {"http://[1.2.3.4]/", "not an IPv6 address"},
        {"http://[::1%25]/", "the name of an interface"},
        {"http://[::1%25eth0%41]/", "the name of an interface"},
        {"http://[::1%25eth/0]/", "is not closed"},
        {"http://[::1]x/", "only a port may follow"},
        {"http://2130706433/", "not an IPv4 address"},
        {"http://0x7f.1/", "not an IPv4 address"},
        {"http://127.1/", "not an IPv4 address"},
        {"http://0177.0.0.1/", "not an IPv4 address"},
        {"http://1.2.3.4./", "not an IPv4 address"},
        {"http://1.2.3.256/", "not an IPv4 address"},
        {"http://a.0x10/", "not an IPv4 address"},
        {"http://a%2eorg/", "not a host name"},
        {"http://a..org/", "not a host name"},
        {"http://.a/", "not a host name"},
        {"http://./", "not a host name"},
        {"http://a;b/", "not a host name"},
        {"http://" + std::string(64, 'a') + "/", "not a host name"},
        {"http://" + std::string(254, 'a') + "/", "longer than 253"},
        {"http://a/" + std::string(65536, 'a'), "longer than 64 KiB"},
        {"http://a/" + std::string(30000, '|'), "longer than 64 KiB"},
        {"http://a\xff/", "internationalized name"},
    };
    for (const auto& [text, reason] : rows) {
        INFO(text.substr(0, 80));
        CHECK_THAT(refusal(text), Catch::Contains(reason));
        CHECK(refusal(text).find("secret") == std::string::npos);
    }
}

TEST_CASE("url: a host that is not ASCII is converted by IDNA", "[url]") {
#ifdef RONDO_WITH_IDN
    CHECK(url("http://B\xc3\xbc"
              "cher.example/")
              .host() == "xn--bcher-kva.example");
    // A full-width digit and an ideographic stop become ASCII first, and are judged after it.
    CHECK_THAT(refusal("http://\xef\xbc\x91\xe3\x80\x82"
                       "2"),
               Catch::Contains("not an IPv4 address"));
#else
    CHECK_THAT(refusal("http://b\xc3\xbc/"), Catch::Contains("libidn2-dev"));
#endif
}

TEST_CASE("url: user and password are decoded, and never printed", "[url]") {
    const url parsed("http://us%20er:pa%3Ass@a.org/x");
    CHECK(parsed.user() == "us er");
    CHECK(parsed.password() == "pa:ss");
    CHECK(parsed.text() == "http://a.org/x");
    CHECK(parsed.text_with_password() == "http://us%20er:pa%3Ass@a.org/x");
    CHECK(parsed.authority() == "a.org");
    CHECK(parsed.origin() == "http://a.org");
    CHECK(parsed.without_user() == url("http://a.org/x"));
    CHECK(url("http://a.org").with_user("a@b", "c:/d").text_with_password() ==
          "http://a%40b:c%3A%2Fd@a.org/");
    CHECK(parsed.with_user("u", "").text_with_password() == "http://u@a.org/x");
    CHECK(url("http://:pw@a/").password() == "pw");
    CHECK(url("http://:pw@a/").has_user());
    CHECK_FALSE(url("http://@a/").has_user());
    CHECK(url("http://u:@a/").password().empty());
    CHECK_THROWS_AS(url("mailto:x").with_user("u", "p"), rondo::http::url_error);
}

TEST_CASE("url: a Unix socket has a path and a target", "[url]") {
    const url parsed("unix:/run/docker.sock:/v1/info?x=1");
    CHECK(parsed.is_unix());
    CHECK(parsed.socket_path() == "/run/docker.sock");
    CHECK(parsed.target() == "/v1/info?x=1");
    CHECK(parsed.host() == "localhost");
    CHECK(parsed.authority() == "localhost");
    CHECK(parsed.origin() == "unix:/run/docker.sock");
    CHECK(parsed.resolve("../a").text() == "unix:/run/docker.sock:/a");
    CHECK(parsed.with_query("y", "2").target() == "/v1/info?x=1&y=2");
    CHECK(url("unix:/run/x").target() == "/");
    CHECK(url("unix:///run/x:/y").socket_path() == "/run/x");
    CHECK(url("unix:/a%3Ab:").socket_path() == "/a:b");
    CHECK(url("unix:@abstract:/x").socket_path() == "@abstract");
    CHECK(url(parsed.text()) == parsed);
    for (const char* text :
         {"unix:", "unix:x", "unix://a/b", "unix:/a%00:/", "unix:/a%4:/", "unix:/a:b"})
        CHECK_THAT(refusal(text), Catch::Contains("Unix socket"));
    CHECK_THAT(resolved("unix:/a:/", "//b/c"), Catch::Contains("no other hosts"));
}

TEST_CASE("url: relative references, the table of RFC 3986, section 5.4", "[url]") {
    const std::vector<std::pair<const char*, const char*>> rows = {
        {"g:h", "g:h"},
        {"g", "http://a/b/c/g"},
        {"./g", "http://a/b/c/g"},
        {"g/", "http://a/b/c/g/"},
        {"/g", "http://a/g"},
        {"//g", "http://g/"},  // the table has no '/': http URLs get one
        {"?y", "http://a/b/c/d;p?y"},
        {"g?y", "http://a/b/c/g?y"},
        {"#s", "http://a/b/c/d;p?q#s"},
        {"g#s", "http://a/b/c/g#s"},
        {"g?y#s", "http://a/b/c/g?y#s"},
        {";x", "http://a/b/c/;x"},
        {"g;x", "http://a/b/c/g;x"},
        {"g;x?y#s", "http://a/b/c/g;x?y#s"},
        {"", "http://a/b/c/d;p?q"},
        {".", "http://a/b/c/"},
        {"./", "http://a/b/c/"},
        {"..", "http://a/b/"},
        {"../", "http://a/b/"},
        {"../g", "http://a/b/g"},
        {"../..", "http://a/"},
        {"../../", "http://a/"},
        {"../../g", "http://a/g"},
        {"../../../g", "http://a/g"},
        {"../../../../g", "http://a/g"},
        {"/./g", "http://a/g"},
        {"/../g", "http://a/g"},
        {"g.", "http://a/b/c/g."},
        {".g", "http://a/b/c/.g"},
        {"g..", "http://a/b/c/g.."},
        {"..g", "http://a/b/c/..g"},
        {"./../g", "http://a/b/g"},
        {"./g/.", "http://a/b/c/g/"},
        {"g/./h", "http://a/b/c/g/h"},
        {"g/../h", "http://a/b/c/h"},
        {"g;x=1/./y", "http://a/b/c/g;x=1/y"},
        {"g;x=1/../y", "http://a/b/c/y"},
        {"g?y/./x", "http://a/b/c/g?y/./x"},
        {"g?y/../x", "http://a/b/c/g?y/../x"},
        {"g#s/./x", "http://a/b/c/g#s/./x"},
        {"g#s/../x", "http://a/b/c/g#s/../x"},
        {"http:g", "the URL names no host"},  // strict; and of no use to HTTP
    };
    for (const auto& [reference, expected] : rows) {
        INFO(reference);
        CHECK(resolved("http://a/b/c/d;p?q", reference) == expected);
    }
}

TEST_CASE("url: references as servers send them", "[url]") {
    CHECK(resolved("https://u:p@a/x#f", "/y z?q r") == "https://u:p@a/y%20z?q%20r");
    CHECK(resolved("https://a/x", "http://b/c/../d") == "http://b/d");
    CHECK(resolved("https://a/x", "//b:443/c") == "https://b/c");
    CHECK(resolved("https://a", "b") == "https://a/b");
    CHECK(resolved("https://a/x", "\xc3\xa4") == "https://a/%C3%A4");
    CHECK(resolved("https://a/b//c", "..//d") == "https://a/b//d");
    CHECK_THAT(resolved("https://a/x", "//b c/"), Catch::Contains("a space"));
    CHECK_THAT(resolved("https://a/x", "/\\b"), Catch::Contains("a backslash"));
    CHECK_THAT(resolved("https://a/x", "a\nb"), Catch::Contains("a control character"));
    CHECK_THAT(resolved("https://a/x", "//"), Catch::Contains("names no host"));
    CHECK(resolved("g:a/b", "c") == "g:a/c");
    CHECK_THAT(resolved("g:/a", "/..//b"), Catch::Contains("would become a host"));
    CHECK_THROWS_AS(url().resolve("x"), rondo::http::url_error);
}

TEST_CASE("url: queries are built, and repeat", "[url]") {
    const url base("http://a/b#f");
    CHECK(base.with_query("q", "x y&z=\xc3\xa4").text() == "http://a/b?q=x%20y%26z%3D%C3%A4#f");
    CHECK(base.with_query("a", "1").with_query("a", "").text() == "http://a/b?a=1&a=#f");
    CHECK(url("http://a?").with_query("a", "1").text() == "http://a/?a=1");
    CHECK(url("http://a?x").with_query("a", "1").text() == "http://a/?x&a=1");
    CHECK(url("http://a?x").with_query("y=1").text() == "http://a/?y=1");
    CHECK(url("http://a?x#f").with_query("").text() == "http://a/#f");
}

TEST_CASE("url: percent-encoding", "[url]") {
    using namespace rondo::http;
    std::string all;
    for (int i = 0; i < 256; ++i) all += static_cast<char>(i);
    CHECK(percent_decode(percent_encode(all)) == all);
    CHECK(percent_decode(percent_encode_path(all)) == all);
    CHECK(percent_encode("a-b._~/+ %") == "a-b._~%2F%2B%20%25");
    CHECK(percent_encode_path("/a b") == "/a%20b");
    CHECK(percent_decode("a+b%2f") == std::string("a+b/"));
    for (const char* bad : {"%", "%4", "a%zz", "%4g", "%%41"}) CHECK_FALSE(percent_decode(bad));
}

TEST_CASE("url: no byte at any place of a URL ends a line, and texts are fixed points", "[url]") {
    for (int value = 0; value < 256; ++value) {
        const std::string byte(1, static_cast<char>(value));
        for (const std::string& text :
             {byte + "http://a/", "ht" + byte + "tp://a/", "http:" + byte + "//a/",
              "http://u" + byte + "@a/", "http://a" + byte + "b/", "http://a:8" + byte + "/",
              "http://[::1" + byte + "]/", "http://[::1%25e" + byte + "]/", "http://a/b" + byte,
              "http://a/?" + byte, "http://a/#" + byte, "unix:/a" + byte + "b:/c"}) {
            try {
                const url parsed{std::string_view(text)};
                if (value <= 0x20 || value == 0x7f || value == '\\') FAIL("taken: " << value);
                for (const char c : parsed.text_with_password())
                    if (c <= 0x20 || c == 0x7f || c < 0) FAIL("not visible ASCII: " << value);
                if (!(url(parsed.text_with_password()) == parsed)) FAIL("changes again: " << text);
            } catch (const rondo::http::url_error& error) {
                for (const char c : std::string_view(error.what()))
                    if (c < 0x20 || c > 0x7e) FAIL("an error that cannot be printed");
            }
        }
    }
}
