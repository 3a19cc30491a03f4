// SPDX-License-Identifier: MIT
// The parts of HTTP that servers need: multipart bodies, ranges, conditions, media types; and the
// users of ~/.netrc.
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http/media_type.hpp"
#include "http/multipart.hpp"
#include "http/multipart_parser.hpp"
#include "http/netrc.hpp"
#include "http/range.hpp"
#include "http/server/routes.hpp"
#include "http/split_ways.hpp"
#include "support/catch.hpp"

using namespace rondo;
using http::byte_range;
using http::multipart_parser;
using split_ways::pieces;

namespace {

const std::string type = "multipart/form-data; boundary=\"a b\"";

/// "name=body;" of each part, "name(file)=body;" of a file, and the error.
std::string parts_of(const pieces& input, http::multipart_limits bounds = {}) {
    multipart_parser parser(type, bounds);
    std::string all;
    bool goes_on = true;
    split_ways::feed(input, [&](std::string_view bytes) {
        while (goes_on) {
            const auto step = parser.next(bytes);
            if (step.consumed > bytes.size()) FAIL("beyond the input");
            bytes.remove_prefix(step.consumed);
            if (step.what == multipart_parser::event::need_more) break;
            if (step.what == multipart_parser::event::part) {
                if (!all.empty()) all += ';';
                all += parser.name();
                if (parser.is_file()) all += '(' + parser.file_name() + ')';
                all += '=';
            }
            all += step.body;
            goes_on = step.what == multipart_parser::event::part ||
                      step.what == multipart_parser::event::body;
        }
    });
    if (!parser.finish()) all += "!" + parser.why().text;
    return all;
}

std::string parts(std::string_view text) {
    return split_ways::same_every_way(text, [](const pieces& input) { return parts_of(input); });
}

const std::string head = "content-disposition: form-data; name=x\r\n\r\n";

TEST_CASE("http request: an unusual target leaves no memory to an idle connection",
          "[http_server_parts]") {
    std::string target;
    for (int i = 0; i < 2000; ++i) target += "/a%20b";
    detail::http_server_request request;
    request.begin("GET", target);
    REQUIRE(detail::split_path(request));
    CHECK(request.segments.size() == 2000);
    request.parameters.emplace_back("x", std::string(8000, 'x'));
    request.shrink();
    CHECK(request.segments.capacity() == 0);
    CHECK(request.decoded.capacity() == 0);
    CHECK(request.parameters.front().second.capacity() < 64);
    request.begin("GET", "/a%20b");
    REQUIRE(detail::split_path(request));
    request.shrink();
    CHECK(request.segments.capacity() > 0);  // a usual one keeps its room
}

}  // namespace

TEST_CASE("multipart: parts, however they are cut", "[http_server_parts]") {
    CHECK(parts("--a b\r\n" + head + "1\r\n--a b--\r\n") == "x=1");
    CHECK(parts("preamble\r\n--a b \t\r\n" + head + "\r\n--a b\r\n" + head +
                "2\r\n--a b--epilogue") == "x=;x=2");
    CHECK(parts("--a b\r\n" + head + "--a b--") == "x=");
    CHECK(parts("--a b\r\n" + head + "\r\r\n-\r\n--a\r\n--a \r\n\n--a b\r\n--a b--") ==
          "x=\r\r\n-\r\n--a\r\n--a \r\n\n--a b");
    CHECK(parts("--a b--") == "");
    CHECK(parts("--a b\r\ncontent-disposition: form-data; name=\"a%22%0D%0Ab%41\"; "
                "filename=\"\"\r\nx: y\r\n\r\n.\r\n--a b--") == "a\"\r\nb%41()=.");
    const std::string made = http::part_head("a b", "n\"1", "f\r\n.txt", "text/plain") + "1\r\n" +
                             http::part_head("a b", "n2", "", "") + "2\r\n" +
                             http::closing_boundary("a b");
    CHECK(parts_of({made}) == "n\"1(f\r\n.txt)=1;n2=2");

    multipart_parser parser(type);
    CHECK(parser.next(made).what == multipart_parser::event::part);
    CHECK(parser.headers().get("content-type") == "text/plain");
}

TEST_CASE("multipart: malformed, cut off and endless bodies are refused", "[http_server_parts]") {
    const std::vector<std::pair<std::string, const char*>> rows = {
        {"", "cut off"},
        {"nothing", "cut off"},
        {"--a b\r\n" + head + "1", "cut off"},
        {"--a b\r\n" + head + "1\r\n--a b", "cut off"},
        {"--a b\r\n" + head + "1\r\n--a b-", "cut off"},
        {"--a b\r\n" + head + "1\r\n--a b\r\n", "cut off"},
        {"--a bc\r\n", "something else"},
        {"--a b\n", "something else"},
        {"--a b\rx", "something else"},
        {"--a b-x", "something else"},
        {"--a b --", "something else"},
        {"--a b\r\n\r\n1\r\n--a b--", "no name"},
        {"--a b\r\ncontent-disposition: attachment; name=x\r\n\r\n", "no name"},
        {"--a b\r\ncontent-disposition: form-data; filename=x\r\n\r\n", "no name"},
        {"--a b\r\nx\r\n\r\n", "malformed"},
        {"--a b\r\nx: y\n\r\n", "bare line feed"},
    };
    for (const auto& [text, reason] : rows) {
        INFO(text);
        CHECK_THAT(parts(text), Catch::Contains(reason));
    }
    for (const char* bad :
         {"", "text/plain; boundary=x", "multipart/form-data",
          "multipart/form-data; boundary=", "multipart/form-data; boundary=\"x \"",
          "multipart/form-data; boundary=\"\r\n\"", "multipart/form-data; boundary=\"{\""})
        CHECK(multipart_parser(bad).next("x").what == multipart_parser::event::failed);
    CHECK(multipart_parser("multipart/form-data; boundary=" + std::string(71, 'x')).why().kind ==
          http::h1::fault::protocol);
    http::multipart_limits bounds;
    bounds.parts = 2;
    const std::string part = "--a b\r\n" + head + "\r\n";
    CHECK(parts_of({part + part + "--a b--"}, bounds) == "x=;x=");
    CHECK_THAT(parts_of({part + part + part}, bounds), Catch::Contains("too many parts"));
    CHECK_THAT(parts_of({"--a b\r\nx: " + std::string(20000, 'x')}), Catch::Contains("too long"));
    std::string fields = "--a b\r\n";
    for (int i = 0; i < 40; ++i) fields += "x: y\r\n";
    CHECK_THAT(parts_of({fields}), Catch::Contains("too many header fields"));
}

TEST_CASE("range: of requests", "[http_server_parts]") {
    using ranges = std::vector<byte_range>;
    CHECK(http::parse_range("bytes=0-9", 100) == ranges{{0, 9}});
    CHECK(http::parse_range("Bytes=0-0, 50-,-5 ,90-1000", 100) ==
          ranges{{0, 0}, {50, 99}, {95, 99}, {90, 99}});
    CHECK(http::parse_range("bytes=-1000", 100) == ranges{{0, 99}});
    CHECK(http::parse_range("bytes=0-18446744073709551616", 100) == ranges{{0, 99}});
    for (const char* none : {"bytes=100-", "bytes=-0", "bytes=99999999999999999999-"})
        CHECK(http::parse_range(none, 100) == ranges{});
    CHECK(http::parse_range("bytes=0-", 0) == ranges{});
    CHECK(http::parse_range("bytes=-1", 0) == ranges{});
    for (const char* bad : {"", "bytes", "bytes=", "bytes 0-1", "lines=0-1", "bytes=1", "bytes=-",
                            "bytes=2-1", "bytes=a-b", "bytes=+1-2", "bytes=1--2", "bytes=1-2,x"})
        CHECK_FALSE(http::parse_range(bad, 100));
    std::string many = "bytes=0-0";
    for (int i = 0; i < 15; ++i) many += ",0-0";
    CHECK(http::parse_range(many, 9)->size() == http::ranges_max);
    CHECK_FALSE(http::parse_range(many + ",0-0", 9));
    CHECK(byte_range{5, 9}.size() == 5);
    CHECK(http::content_range({5, 9}, 10) == "bytes 5-9/10");
    CHECK(http::unsatisfied_range(10) == "bytes */10");
}

TEST_CASE("range: of responses", "[http_server_parts]") {
    CHECK(http::parse_content_range("bytes 5-9/10")->part == byte_range{5, 9});
    CHECK(http::parse_content_range("bytes 5-9/10")->size == 10U);
    CHECK_FALSE(http::parse_content_range("bytes 5-9/*")->size.has_value());
    for (const char* bad : {"", "bytes */10", "bytes 5-10/10", "bytes 9-5/10", "bytes=5-9/10",
                            "bytes 5-9", "bytes 5-9/x", "bytes 5-99999999999999999999/*"})
        CHECK_FALSE(http::parse_content_range(bad));
}

TEST_CASE("conditions: tags, weakly and strongly", "[http_server_parts]") {
    CHECK(http::has_weak_tag("\"a\", W/\"b\"", "\"b\""));
    CHECK(http::has_weak_tag("\"a\"", "W/\"a\""));
    CHECK(http::has_weak_tag("*", "\"x\""));
    CHECK(http::has_weak_tag("\"a,b\"", "\"a,b\""));
    CHECK_FALSE(http::has_weak_tag("\"a\"", "\"A\""));
    CHECK_FALSE(http::has_weak_tag("", "\"a\""));
    CHECK(http::has_strong_tag("\"a\", \"b\"", "\"b\""));
    CHECK_FALSE(http::has_strong_tag("W/\"b\"", "\"b\""));
    CHECK_FALSE(http::has_strong_tag("W/\"b\"", "W/\"b\""));
}

TEST_CASE("media type: by extension", "[http_server_parts]") {
    CHECK(http::media_type_of("a/b.HTML") == "text/html; charset=utf-8");
    CHECK(http::media_type_of("x.tar.gz") == "application/gzip");
    for (const char* unknown : {"x", "a.txt/x", "", "x.", ".", "a.b/c"})
        CHECK(http::media_type_of(unknown) == "application/octet-stream");
    for (const char* small : {"text/html; charset=utf-8", "application/JSON", "image/svg+xml"})
        CHECK(http::is_compressible(small));
    for (const char* large : {"image/png", "text/event-stream", "application/gzip", ""})
        CHECK_FALSE(http::is_compressible(large));
}

TEST_CASE("netrc: the entry of a host", "[http_server_parts]") {
    const std::string text =
        "# comment\nmachine a.org login ann password \"p \\\"1\" account x\n"
        "macdef init\n machine b.org login mac\n\n"
        "machine b.org\n\tlogin bob\n\tpassword 2\ndefault login any password 3\n"
        "machine a.org login late";
    CHECK(http::netrc_lookup(text, "A.org")->user == "ann");
    CHECK(http::netrc_lookup(text, "a.org")->password == "p \"1");
    CHECK(http::netrc_lookup(text, "b.org")->user == "bob");
    CHECK(http::netrc_lookup(text, "c.org")->password == "3");
    CHECK_FALSE(http::netrc_lookup("machine a.org login x", "c.org"));
    CHECK_FALSE(http::netrc_lookup("", "a"));
    CHECK(http::netrc_lookup("machine a password", "a")->password.empty());
}
