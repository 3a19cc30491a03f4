// SPDX-License-Identifier: MIT
// The small parts of HTTP: dates, forms, file names, multipart heads, server-sent events,
// credentials and charsets.
#include <rondo/http/date.hpp>
#include <rondo/http/error.hpp>
#include <rondo/http/form.hpp>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#ifdef RONDO_WITH_OPENSSL
#include <openssl/evp.h>
#endif

#include "http/auth.hpp"
#include "http/charset.hpp"
#include "http/disposition.hpp"
#include "http/event_parser.hpp"
#include "http/multipart.hpp"
#include "http/split_ways.hpp"
#include "support/catch.hpp"

using namespace rondo;
using namespace std::chrono_literals;
using http::date_time;
using split_ways::pieces;

TEST_CASE("http date: written, and read in three forms", "[http_parts]") {
    const date_time when(784'111'777s);
    CHECK(http::http_date(when) == "Sun, 06 Nov 1994 08:49:37 GMT");
    CHECK(http::http_date(date_time(0s)) == "Thu, 01 Jan 1970 00:00:00 GMT");
    CHECK(http::http_date(date_time(951'782'400s)) == "Tue, 29 Feb 2000 00:00:00 GMT");
    for (const char* text : {"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT",
                             "Sun Nov  6 08:49:37 1994", " Sun, 6 Nov 1994 08:49:37 GMT "})
        CHECK(http::parse_http_date(text) == when);
    for (long long s = -2'000'000'000; s < 10'000'000'000; s += 99'999'999)
        CHECK(http::parse_http_date(http::http_date(date_time(std::chrono::seconds(s)))) ==
              date_time(std::chrono::seconds(s)));
    CHECK(http::http_date(*http::parse_http_date("Sunday, 06-Nov-69 08:49:37 GMT")) ==
          "Wed, 06 Nov 2069 08:49:37 GMT");
    for (const char* text :
         {"", "Sun", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 CET",
          "Sun, 31 Feb 1994 08:49:37 GMT", "Sun, 06 Nov 1994 25:49:37 GMT",
          "Sun, 06 Nov 1994 08:49 GMT", "Sun, 06 Nov 1994 08:49:37 GMT x", "784111777",
          "Sun Nov  6 08:49:37 94", "Sun, 0x Nov 1994 08:49:37 GMT"})
        CHECK_FALSE(http::parse_http_date(text));
}

TEST_CASE("retry-after: seconds, or a date", "[http_parts]") {
    const date_time now(784'111'777s);
    CHECK(http::parse_retry_after(" 120 ", now) == 120s);
    CHECK(http::parse_retry_after("0", now) == 0s);
    CHECK(http::parse_retry_after("Sun, 06 Nov 1994 08:50:00 GMT", now) == 23s);
    CHECK(http::parse_retry_after("Sun, 06 Nov 1994 08:00:00 GMT", now) == 0s);
    for (const char* bad : {"", "-1", "1.5", "soon", "99999999999"})
        CHECK_FALSE(http::parse_retry_after(bad, now));
}

TEST_CASE("form: names and values there and back", "[http_parts]") {
    http::form made;
    made.add("q", "x y&z=\xc3\xa4+").add("q", "").add("", "v");
    CHECK(made.text() == "q=x%20y%26z%3D%C3%A4%2B&q=&=v");
    const http::form again(made.text());
    CHECK(std::vector<http::form::pair>(again.begin(), again.end()) ==
          std::vector<http::form::pair>(made.begin(), made.end()));
    const http::form read("a=1+2&b&&c=%41%zz%4&a=3=4&=");
    CHECK(read.size() == 5);
    CHECK(read.get("a") == "1 2");
    CHECK(read.get_all("a") == std::vector<std::string_view>{"1 2", "3=4"});
    CHECK(read.get("b") == "");
    CHECK(read.get("c") == "A%zz%4");
    CHECK_FALSE(read.contains("A"));
    CHECK(http::form("").empty());
}

TEST_CASE("file name: of content-disposition", "[http_parts]") {
    const std::vector<std::pair<std::string, const char*>> rows = {
        {"attachment; filename=\"a b.txt\"", "a b.txt"},
        {"attachment; filename=a.txt", "a.txt"},
        {"inline; FileName=\"x\\\"y.txt\"", "x_y.txt"},
        {"attachment; filename=\"EUR.txt\"; filename*=UTF-8''%e2%82%ac.txt", "\xe2\x82\xac.txt"},
        {"attachment; filename*=UTF-8'de'%e2%82%ac.txt; filename=x", "\xe2\x82\xac.txt"},
        {"attachment; filename*=iso-8859-1''%A3.txt", "\xc2\xa3.txt"},
        {"attachment; filename=x; filename*=UTF-8''%ff", "x"},
        {"attachment; filename=x; filename*=koi8-r''%ff", "x"},
        {"attachment; filename=x; filename*=UTF-8''%4", "x"},
        {"attachment; filename=x; filename*=y", "x"},
        {"attachment; filename=\"\xa3.txt\"", "\xc2\xa3.txt"},
        {"attachment; filename=\"../../etc/passwd\"", "passwd"},
        {"attachment; filename*=UTF-8''..%2f..%5cx", "x"},
        {"attachment; filename=\"C:\\\\a\\\\b.txt\"", "b.txt"},
        {"attachment; filename=\".bashrc\"", "_bashrc"},
        {"attachment; filename=\"-rf\"", "_rf"},
        {"attachment; filename=\"a\x01\x7f:*?.txt\"", "a_____.txt"},
        {"attachment; filename=\"a\xe2\x80\xaegpj.exe\"", "a_gpj.exe"},
        {"attachment; filename=\"a\xc2\x9bm\"", "a_m"},
        {"attachment; filename=\"a. . \"", "a"},
    };
    for (const auto& [text, name] : rows) {
        INFO(text);
        CHECK(http::disposition_file_name(text) == std::string(name));
    }
    for (const char* none :
         {"", "attachment", "attachment; filename=\"\"", "attachment; filename=\"..\"",
          "attachment; filename=\"a/\"", "attachment; filename=\" . \"", "filename"})
        CHECK_FALSE(http::disposition_file_name(none));
    CHECK(*http::safe_file_name(std::string(5000, 'x') + ".iso") == std::string(196, 'x') + ".iso");
    std::string wide;
    for (int i = 0; i < 100; ++i) wide += "\xf0\x9f\x98\x80";
    CHECK(http::safe_file_name("x" + wide)->size() == 197);
    CHECK(http::is_utf8(*http::safe_file_name("x" + wide)));
}

TEST_CASE("multipart: heads cannot be broken by names", "[http_parts]") {
    const std::string boundary = http::make_boundary(0x0123456789abcdef, 0xfedcba9876543210);
    CHECK(boundary == "rondo-0123456789ABCDEFFEDCBA9876543210");
    CHECK(http::multipart_content_type("b") == "multipart/form-data; boundary=b");
    CHECK(http::part_head("b", "field", "", "") ==
          "--b\r\ncontent-disposition: form-data; name=\"field\"\r\n\r\n");
    CHECK(http::part_head("b", "a\"\r\nb", "x\\\xc3\xa4\".txt", "text/plain") ==
          "--b\r\ncontent-disposition: form-data; name=\"a%22%0D%0Ab\"; "
          "filename=\"x\\\\\xc3\xa4%22.txt\"\r\ncontent-type: text/plain\r\n\r\n");
    CHECK(http::closing_boundary("b") == "--b--\r\n");
    CHECK_THROWS_AS(http::part_head("b", "a", "f", "text\r\nx: y"), http::error);
    CHECK_THROWS_AS(http::part_head("b", "a\x01", "f", ""), http::error);
}

namespace {

std::string events_of(const pieces& parts) {
    http::event_parser parser(100);
    std::string all;
    split_ways::feed(parts, [&](std::string_view bytes) {
        for (;;) {
            const auto step = parser.next(bytes);
            bytes.remove_prefix(step.consumed);
            if (step.is_too_long) all += "too long;";
            if (!step.has_event) break;
            const http::server_event& e = parser.event();
            all += e.type + '[' + e.data + ']' + e.id + ';';
        }
    });
    if (parser.retry()) all += "retry " + std::to_string(parser.retry()->count());
    return all;
}

std::string events(std::string_view text) { return split_ways::same_every_way(text, events_of); }

}  // namespace

TEST_CASE("server-sent events: however they are cut", "[http_parts]") {
    CHECK(events("data: a\n\n") == "message[a];");
    CHECK(events("\xef\xbb\xbf"
                 "data:a\r\ndata: b\r\rid: 7\ndata\n\n") == "message[a\nb];message[]7;");
    CHECK(events(": comment\n\nevent: x\ndata:  two\n\ndata: y\n\n") == "x[ two];message[y];");
    CHECK(events("id: 1\ndata: a\n\nid\ndata: b\n\nid: x\n\ndata: c\n\n") ==
          "message[a]1;message[b];message[c]x;");
    CHECK(events(std::string("id: 1\0\ndata: a\n\n", 16)) == "message[a];");
    CHECK(events("retry: 1500\nretry: x\nretry: -1\n\n") == "retry 1500");
    CHECK(events("data: cut off\n") == "");
    CHECK(events("event: x\n\ndata: a\n\n") == "message[a];");
    CHECK(events("datax: a\nDATA: b\n\n") == "");
    CHECK(events("\r\n\r\ndata: a\r\n\r\n") == "message[a];");
    CHECK(events_of({"data: " + std::string(200, 'x')}) == "too long;");
    CHECK(events_of({"data: " + std::string(60, 'x') + "\ndata:" + std::string(60, 'x')}) ==
          "too long;");
    http::event_parser parser;
    parser.next("retry: 5\nid: 9\ndata: a\n\ndata: lost");
    parser.next("data: lost");
    parser.restart();
    CHECK(parser.last_id() == "9");
    CHECK(parser.retry() == 5ms);
    CHECK(parser
              .next("\xef\xbb\xbf"
                    "data: b\n\n")
              .has_event);
    CHECK(parser.event().data == "b");
}

TEST_CASE("credentials: basic and bearer", "[http_parts]") {
    CHECK(http::base64("") == "");
    CHECK(http::base64("f") == "Zg==");
    CHECK(http::base64("fo") == "Zm8=");
    CHECK(http::base64("foo") == "Zm9v");
    CHECK(http::base64("\xff\xfe\xfd\xfc") == "//79/A==");
    CHECK(http::basic_credentials("Aladdin", "open sesame") ==
          "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    CHECK_THROWS_AS(http::basic_credentials("a:b", ""), http::error);
    CHECK(http::bearer_credentials("abc") == "Bearer abc");
    for (const char* bad : {"", "a b", "a\r\nb"})
        CHECK_THROWS_AS(http::bearer_credentials(bad), http::error);
}

TEST_CASE("credentials: challenges are told apart", "[http_parts]") {
    const auto all = http::parse_challenges(
        "Digest realm=\"a, b\", qop=\"auth,auth-int\" , Negotiate, Basic realm=x, "
        "charset=\"UTF-8\"");
    REQUIRE(all.size() == 3);
    CHECK(all[0].scheme == "Digest");
    CHECK(all[0].get("REALM") == "a, b");
    CHECK(all[0].get("qop") == "auth,auth-int");
    CHECK(all[1].scheme == "Negotiate");
    CHECK(all[2].get("realm") == "x");
    CHECK(all[2].get("charset") == "UTF-8");
    CHECK(http::parse_challenges("").empty());
    CHECK(http::parse_challenges("a=b").empty());
    CHECK_FALSE(http::digest_answer::choose(all));  // it has no nonce
    CHECK_FALSE(http::digest_answer::choose(http::parse_challenges(
        "Digest realm=a, nonce=b, algorithm=SHA-512-256, Digest realm=a, nonce=b, qop=auth-int")));
}

#ifdef RONDO_WITH_OPENSSL
namespace {

std::string hashed(http::hash_kind kind, std::string_view bytes) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    EVP_Digest(bytes.data(), bytes.size(), digest, &size,
               kind == http::hash_kind::md5 ? EVP_md5() : EVP_sha256(), nullptr);
    std::string text;
    for (unsigned i = 0; i < size; ++i) {
        text += "0123456789abcdef"[digest[i] >> 4];
        text += "0123456789abcdef"[digest[i] & 15];
    }
    return text;
}

}  // namespace

TEST_CASE("credentials: digest, the examples of RFC 7616 and RFC 2069", "[http_parts]") {
    const std::string rest =
        "realm=\"http-auth@example.org\", qop=\"auth, auth-int\", "
        "nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", "
        "opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"";
    const auto answer = [](const std::string& value) {
        const auto digest = http::digest_answer::choose(http::parse_challenges(value));
        return digest->credentials("Mufasa", "Circle of Life", "GET", "/dir/index.html",
                                   "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", 1, hashed);
    };
    const std::string md5 = answer("Digest algorithm=MD5, " + rest);
    CHECK_THAT(md5, Catch::Contains("response=\"8ca523f5e9506fed4657c9700eebdbec\""));
    CHECK_THAT(md5,
               Catch::StartsWith("Digest username=\"Mufasa\", realm=\"http-auth@example.org\""));
    CHECK_THAT(md5, Catch::Contains("algorithm=MD5") && Catch::Contains("nc=00000001") &&
                        Catch::Contains("qop=auth,") && Catch::Contains("opaque=\"FQhe/"));
    const std::string sha =
        answer("Digest algorithm=MD5, " + rest + ", Digest algorithm=SHA-256, stale=TRUE, " + rest);
    CHECK_THAT(sha, Catch::Contains("response=\"753927fa0e85d155564e2e272a28d1802ca10daf449"
                                    "6794697cf8db5856cb6c1\""));
    const auto old = http::digest_answer::choose(http::parse_challenges(
        "Digest realm=\"testrealm@host.com\", nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\""));
    const std::string plain =
        old->credentials("Mufasa", "CircleOfLife", "GET", "/dir/index.html", "c", 1, hashed);
    // RFC 2069, with the erratum's value.
    CHECK_THAT(plain, Catch::Contains("response=\"1949323746fe6a43ef61f9606e7febea\""));
    CHECK(plain.find("cnonce") == std::string::npos);
    CHECK_FALSE(old->is_stale());
    const auto session = http::digest_answer::choose(
        http::parse_challenges("Digest algorithm=MD5-sess, stale=true, " + rest));
    CHECK(session->is_stale());
    CHECK_THAT(session->credentials("u\"x", "p", "GET", "/", "c", 0x1f, hashed),
               Catch::Contains("username=\"u\\\"x\"") && Catch::Contains("nc=0000001f"));
}
#endif

TEST_CASE("charset: UTF-8 and Latin-1", "[http_parts]") {
    std::string latin1, utf8;
    for (int i = 0; i < 256; ++i) latin1 += static_cast<char>(i);
    utf8 = http::latin1_to_utf8(latin1);
    CHECK(utf8.size() == 128 + 2 * 128);
    CHECK(http::is_utf8(utf8));
    CHECK_FALSE(http::is_utf8(latin1));
    for (const char* bad : {"\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82", "\x80",
                            "\xf8\x88\x80\x80\x80", "\xe0\x80\xaf", "a\xc3"})
        CHECK_FALSE(http::is_utf8(bad));
    CHECK(http::is_utf8("\xf4\x8f\xbf\xbf\xe2\x82\xac"));
    CHECK(http::to_utf8("\xe4", "ISO-8859-1") == "\xc3\xa4");
    CHECK(http::to_utf8("\xef\xbb\xbf"
                        "a",
                        "") == "a");
    CHECK(http::to_utf8("\xff", "utf-8") == "\xff");
    CHECK_THROWS_WITH(http::to_utf8("x", "koi8-r"), Catch::Contains("\"koi8-r\""));
}
