// SPDX-License-Identifier: MIT
// Every byte at every place of a request, and every kind of redirect.
#include <rondo/http.hpp>

#include <cctype>

#include <rondo/file_system.hpp>
#include <rondo/http/form.hpp>

#include "http/h1/decoder.hpp"
#include "http/hostile_server.hpp"
#include "http/multipart_parser.hpp"
#include "http/scripted_server.hpp"
#include "support/file_tools.hpp"
#include "support/resolver_tools.hpp"

using namespace rondo;
using namespace std::chrono_literals;

namespace {

using namespace rondo_tests;

// -- every byte -----------------------------------------------------------------------------------

/// A request as its server understands it.
struct understood {
    http::h1::request_head head;
    std::string body;

    std::string field(std::string_view name) const {
        return std::string(head.headers.get(name).value_or("(none)"));
    }
    std::string query() const {
        return head.target.substr(std::min(head.target.find('?'), head.target.size() - 1) + 1);
    }
};

/// "%41" decoded; a '%' without two digits stands for itself.
std::string decoded(std::string_view text) {
    std::string result;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto one = text[i] == '%' ? http::percent_decode(text.substr(i, 3)) : std::nullopt;
        result += one && one->size() == 1 ? one->front() : text[i];
        if (one && one->size() == 1) i += 2;
    }
    return result;
}

std::string from_base64(std::string_view text) {
    constexpr std::string_view digits =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string result;
    unsigned bits = 0;
    int count = 0;
    for (const char c : text) {
        if (c == '=') break;
        bits = bits << 6 | static_cast<unsigned>(digits.find(c));
        count += 6;
        if (count < 8) continue;
        count -= 8;
        result += static_cast<char>(bits >> count & 255);
    }
    return result;
}

/// The part of "Basic …" before (0) or after (1) the first colon.
std::string credential(const understood& seen, int which) {
    const std::string both = from_base64(std::string_view(seen.field("authorization")).substr(6));
    const std::size_t colon = both.find(':');
    return which == 0 ? both.substr(0, colon) : both.substr(colon + 1);
}

std::string cookie_part(const understood& seen, int which) {
    const std::string first = seen.field("cookie").substr(0, seen.field("cookie").find("; "));
    const std::size_t equals = first.find('=');
    return which == 0 ? first.substr(0, equals) : first.substr(equals + 1);
}

/// The first part of a form: its name (0), its file's name (1), its value (2) or its type (3).
std::string part_of(const understood& seen, int which) {
    http::multipart_parser parser(seen.field("content-type"));
    std::string_view unread = seen.body;
    std::string value;
    for (int parts = 0;;) {
        const auto found = parser.next(unread);
        unread.remove_prefix(found.consumed);
        using event = http::multipart_parser::event;
        if (found.what == event::part && ++parts > 1) return "(two parts)";
        if (found.what == event::body) value += found.body;
        if (found.what == event::end) break;
        if (found.what == event::failed || found.what == event::need_more) return "(malformed)";
    }
    if (which == 3) return std::string(parser.headers().get("content-type").value_or("(none)"));
    return which == 0 ? parser.name() : which == 1 ? parser.file_name() : value;
}

struct place {
    const char* name;
    /// A request with `text` at that place.
    http::request_builder (*make)(http::session& client, const std::string& url,
                                  const std::string& text);
    std::string (*read)(const understood& seen);
    int refused;             // of 256 bytes between 'a' and 'z'
    const char* means = "";  // bytes that mean something else here
};

using client_t = http::session;
using text_t = const std::string;

const place places[] = {
    {"method", [](client_t& c, text_t& url, text_t& t) { return c.request(t, url); },
     [](const understood& seen) { return seen.head.method; }, 179},
    {"path", [](client_t& c, text_t& url, text_t& t) { return c.get(url + t); },
     [](const understood& seen) { return decoded(seen.head.target).substr(1); }, 35, "?#"},
    {"query in the URL", [](client_t& c, text_t& url, text_t& t) { return c.get(url + '?' + t); },
     [](const understood& seen) { return decoded(seen.query()); }, 35, "#"},
    {"name in the query",
     [](client_t& c, text_t& url, text_t& t) { return std::move(c.get(url).query(t, "v")); },
     [](const understood& seen) { return http::form(seen.query()).begin()->first; }, 0},
    {"value in the query",
     [](client_t& c, text_t& url, text_t& t) { return std::move(c.get(url).query("n", t)); },
     [](const understood& seen) { return http::form(seen.query()).begin()->second; }, 0},
    {"name of a field",
     [](client_t& c, text_t& url, text_t& t) { return std::move(c.get(url).header(t, "v")); },
     [](const understood& seen) {
         for (const auto& [name, value] : seen.head.headers)
             if (value == "v") return std::string(name);
         return std::string();
     },
     179},
    {"value of a field",
     [](client_t& c, text_t& url, text_t& t) { return std::move(c.get(url).header("x", t)); },
     [](const understood& seen) { return seen.field("x"); }, 32},
    {"name in a form",
     [](client_t& c, text_t& url, text_t& t) { return std::move(c.post(url).form(t, "v")); },
     [](const understood& seen) { return http::form(seen.body).begin()->first; }, 0},
    {"value in a form",
     [](client_t& c, text_t& url, text_t& t) { return std::move(c.post(url).form("n", t)); },
     [](const understood& seen) { return http::form(seen.body).begin()->second; }, 0},
    {"name of a part",
     [](client_t& c, text_t& url, text_t& t) { return std::move(c.post(url).part(t, "v")); },
     [](const understood& seen) { return part_of(seen, 0); }, 30},
    {"name of a file",
     [](client_t& c, text_t& url, text_t& t) {
         return std::move(c.post(url).part_file("n", "/file", "text/plain", t));
     },
     [](const understood& seen) { return part_of(seen, 1); }, 30},
    {"value of a part",
     [](client_t& c, text_t& url, text_t& t) { return std::move(c.post(url).part("n", t)); },
     [](const understood& seen) { return part_of(seen, 2); }, 0},
    {"type of a part",
     [](client_t& c, text_t& url, text_t& t) {
         return std::move(c.post(url).part_file("n", "/file", t, "f"));
     },
     [](const understood& seen) { return part_of(seen, 3); }, 32},
    {"body", [](client_t& c, text_t& url, text_t& t) { return std::move(c.post(url).body(t)); },
     [](const understood& seen) { return seen.body; }, 0},
    {"type of a body",
     [](client_t& c, text_t& url, text_t& t) { return std::move(c.post(url).body("b", t)); },
     [](const understood& seen) { return seen.field("content-type"); }, 32},
    {"name of a cookie",
     [](client_t& c, text_t& url, text_t& t) {
         c.cookies().set(http::cookie(t, "v", "127.0.0.1"));
         return c.get(url);
     },
     [](const understood& seen) { return cookie_part(seen, 0); }, 35},
    {"value of a cookie",
     [](client_t& c, text_t& url, text_t& t) {
         c.cookies().set(http::cookie("n", t, "127.0.0.1"));
         return c.get(url);
     },
     [](const understood& seen) { return cookie_part(seen, 1); }, 34},
    {"user", [](client_t& c, text_t& url, text_t& t) {
         return std::move(c.get(url).basic_auth(t, "p"));
     },
     [](const understood& seen) { return credential(seen, 0); }, 1},
    {"password", [](client_t& c, text_t& url, text_t& t) {
         return std::move(c.get(url).basic_auth("u", t));
     },
     [](const understood& seen) { return credential(seen, 1); }, 0},
    {"token", [](client_t& c, text_t& url, text_t& t) { return std::move(c.get(url).bearer(t)); },
     [](const understood& seen) { return seen.field("authorization").substr(7); }, 162},
    {"user in the URL",
     [](client_t& c, text_t& url, text_t& t) {
         return c.get("http://" + t + ":p@" + url.substr(7));
     },
     [](const understood& seen) { return credential(seen, 0); }, 36, "/?#:"},
    {"password in the URL",
     [](client_t& c, text_t& url, text_t& t) {
         return c.get("http://u:" + t + '@' + url.substr(7));
     },
     [](const understood& seen) { return credential(seen, 1); }, 36, "/?#"},
    {"host", [](client_t& c, text_t& url, text_t& t) {
         const auto address = endpoint::parse(url.substr(7, url.find('/', 7) - 7));
         return std::move(c.get("http://" + t + "/").resolve_to(*address));
     },
     [](const understood& seen) { return seen.field("host"); }, 186, "/?#:@"},
};

/// The requests that a server got, each as a strict parser reads it.
understood read_strictly(const seen_request& request) {
    http::h1::request_decoder decoder;
    decoder.begin();
    const auto found = decoder.next(request.head);
    INFO(request.head);
    REQUIRE(found.what == http::h1::event::head);
    CHECK(found.consumed == request.head.size());
    return {decoder.head(), request.body};
}

task<bool> is_refused(http::session& client, const place& where, std::string url,
                      std::string text) {
    try {
        auto request = where.make(client, url, text);
        co_await std::move(request);
    } catch (const http::error&) {
        co_return true;
    }
    co_return false;
}

task<> put_each_byte(scripted_server& server, const place& where) {
    http::session client;
    int refused = 0;
    for (int byte = 0; byte < 256; ++byte) {
        const char c = static_cast<char>(byte);
        if (c != '\0' && std::string_view(where.means).find(c) != std::string_view::npos) continue;
        for (const std::string& text : {std::string("a") + c + "z", "az" + std::string(1, c)}) {
            INFO(where.name << ": \"" << http::percent_encode(text) << '"');
            const bool is_middle = text.back() == 'z';
            if (!is_middle && (byte > 129 || std::isalnum(byte) != 0)) continue;
            server.requests.clear();
            client.cookies().clear();
            const bool failed = co_await is_refused(client, where, server.url(), text);
            if (failed && is_middle) ++refused;
            REQUIRE(server.requests.size() == (failed ? 0 : 1));
            if (failed) continue;
            std::string expected = text;
            if (std::string_view(where.name) == "host" && c >= 'A' && c <= 'Z')
                expected[expected.find(c)] = static_cast<char>(c - 'A' + 'a');
            // Spaces around the value of a field are no part of it.
            const bool is_field = std::string_view(where.name).find("field") != std::string::npos ||
                                  std::string_view(where.name).find("type") != std::string::npos;
            if (is_field && (c == ' ' || c == '\t') && !is_middle) expected = "az";
            CHECK(where.read(read_strictly(server.requests.front())) == expected);
        }
    }
    INFO(where.name);
    CHECK(refused == where.refused);
}

RONDO_TEST("http matrix: every byte at every place is refused, or read as it was given",
           "[http_matrix]", seeds(1).limit(20s)) {
    co_await write_file("/file", "content");
    scripted_server server([](const seen_request&) { return reply(200, ""); });
    co_await server.run([&]() -> task<> {
        for (const place& where : places) co_await put_each_byte(server, where);
    });
}

RONDO_TEST("http matrix: every byte in a location is refused, or asked for as it was given",
           "[http_matrix]", seeds(1).limit(20s)) {
    std::string location;
    scripted_server server([&](const seen_request& request) {
        if (request.line().starts_with("GET /from "))
            return reply(302, "", "location: " + location);
        return reply(200, "");
    });
    co_await server.run([&]() -> task<> {
        http::session client;
        for (int byte = 0; byte < 256; ++byte) {
            const char c = static_cast<char>(byte);
            if (c == '?' || c == '#') continue;
            const std::string text = std::string("a") + c + "z";
            location = '/' + text + "\r\n";
            server.requests.clear();
            INFO(http::percent_encode(text));
            const client_end found = co_await ending_of(client, server.url("/from"), use::text);
            const bool is_control = byte < 32 || byte == 127;
            CHECK((found.type == "taken") == !(is_control || c == '\\'));
            REQUIRE(server.requests.size() == (found.type == "taken" ? 2 : 1));
            if (found.type != "taken") continue;
            CHECK(decoded(read_strictly(server.requests[1]).head.target) == '/' + text);
        }
    });
}

// -- redirects ------------------------------------------------------------------------------------

enum class origin { same, port, host };
enum class kind_of_body { none, bytes, form, parts, file, again, once };

/// Which fields go along: with the same origin and a body, with the same origin, with another one.
struct field_rule {
    const char* name;
    bool needs_body;
    bool crosses;
};
const field_rule rules[] = {
    {"accept", false, true},
    {"accept-language", false, true},
    {"user-agent", false, true},
    {"if-none-match", false, true},
    {"range", false, true},
    {"authorization", false, false},
    {"proxy-authorization", false, false},
    {"cookie", false, false},
    {"x-token", false, false},
    {"x-api-key", false, false},
    {"referer", false, false},
    {"origin", false, false},
    {"content-language", true, true},
    {"content-encoding", true, true},
    {"content-location", true, false},
    {"expect", true, false},
};

class counted_source final : public http::body_source {
public:
    explicit counted_source(bool again) : again_(again) {}
    task<std::string_view> next() override {
        co_return std::exchange(done_, true) ? std::string_view() : std::string_view("body");
    }
    bool rewind() noexcept override {
        if (again_) done_ = false;
        return again_;
    }

private:
    bool again_;
    bool done_ = false;
};

void add_body(http::request_builder& to, kind_of_body kind) {
    switch (kind) {
        case kind_of_body::none: break;
        case kind_of_body::bytes: to.body("body", "text/plain"); break;
        case kind_of_body::form: to.form("a", "b"); break;
        case kind_of_body::parts: to.part("a", "b").part_file("c", "/file"); break;
        case kind_of_body::file: to.body_file("/file", "text/plain"); break;
        case kind_of_body::again: to.body(std::make_shared<counted_source>(true)); break;
        case kind_of_body::once: to.body(std::make_shared<counted_source>(false)); break;
    }
}

/// Two servers, and what the second request should look like.
class redirect_case {
public:
    std::string method;
    int status = 0;
    origin change = origin::same;
    kind_of_body body = kind_of_body::none;

    bool keeps_body() const { return status == 307 || status == 308; }
    bool has_body() const { return body != kind_of_body::none && keeps_body(); }
    std::string next_method() const {
        return keeps_body() || method == "HEAD" ? method : "GET";
    }
    bool is_refused() const {
        return keeps_body() && body == kind_of_body::once;
    }
};

void check_second(const redirect_case& one, const seen_request& first,
                  const seen_request& second) {
    const understood seen = read_strictly(second);
    CHECK(seen.head.method == one.next_method());
    CHECK(seen.head.target == "/to");
    CHECK(second.body == (one.has_body() ? first.body : ""));
    CHECK((second.field("content-type") != "-") ==
          (one.has_body() && first.field("content-type") != "-"));
    for (const field_rule& rule : rules) {
        INFO(rule.name);
        const bool stays = (one.change == origin::same || rule.crosses) &&
                           (!rule.needs_body || one.has_body());
        CHECK(second.field(rule.name) == (stays ? "1" : "-"));
    }
}

RONDO_TEST("http matrix: redirects by origin, method, status and body", "[http_matrix]",
           seeds(1).limit(20s)) {
    co_await write_file("/file", "content");
    made_up_names names;
    names.know("elsewhere", {{"127.0.0.1", 0}});
    names.use();
    std::string location;
    int status = 0;
    scripted_server other([](const seen_request&) { return reply(200, "there"); });
    scripted_server server([&](const seen_request& request) {
        if (request.line().find(" /to ") != std::string::npos) return reply(200, "there");
        return reply(status, "", "location: " + location + "\r\n");
    });
    auto all = [&]() -> task<> {
        http::session client;
        const std::string port = std::to_string(other.where().port());
        for (const origin change : {origin::same, origin::port, origin::host}) {
            location = change == origin::same   ? "/to"
                       : change == origin::port ? other.url("/to")
                                                : "http://elsewhere:" + port + "/to";
            for (const char* method : {"GET", "HEAD", "POST", "PUT", "DELETE", "PROPFIND"})
                for (const int code : {301, 302, 303, 307, 308})
                    for (int body = 0; body <= static_cast<int>(kind_of_body::once); ++body) {
                        status = code;
                        const redirect_case one{method, code, change,
                                                static_cast<kind_of_body>(body)};
                        INFO(method << ' ' << code << " to " << location << ", body " << body);
                        server.requests.clear();
                        other.requests.clear();
                        auto asking = client.request(method, server.url("/from"));
                        for (const field_rule& rule : rules) asking.header(rule.name, "1");
                        add_body(asking, one.body);
                        std::string error;
                        try {
                            auto response = co_await std::move(asking);
                            CHECK(response.status() == 200);
                        } catch (const http::redirect_error& refused) {
                            error = refused.what();
                        }
                        CHECK(error.empty() != one.is_refused());
                        const auto& after =
                            change == origin::same ? server.requests : other.requests;
                        REQUIRE(after.size() == (change == origin::same ? 1U : 0U) +
                                                    (one.is_refused() ? 0U : 1U));
                        if (!one.is_refused())
                            check_second(one, server.requests.front(), after.back());
                    }
        }
    };
    co_await server.run([&]() -> task<> { co_await other.run(all); });
}

RONDO_TEST("http matrix: from http to https, and never back", "[http_matrix]",
           seeds(1).limit(20s)) {
    for (const bool begins_secure : {false, true}) {
        hostile_server to(behaviour().once(), !begins_secure);
        to.behave();
        const std::string moved = "HTTP/1.1 307 X\r\ncontent-length: 0\r\nlocation: " + to.url();
        hostile_server from(answer(moved + "\r\n\r\n"), begins_secure);
        auto client = [&]() -> task<> {
            http::session session;
            session.tls(trusting_context());
            const client_end found = co_await ending_of(session, from.url(), use::text);
            CHECK(found.type == (begins_secure ? "redirect_error" : "taken"));
            CHECK(found.text.starts_with(begins_secure ? "a redirect from https to http" : "good"));
        };
        co_await from.run([&]() -> task<> { co_await to.run(client); });
    }
}

RONDO_TEST("http matrix: what one origin may not have does not come back after another",
           "[http_matrix]", seeds(1).limit(20s)) {
    std::string first_url;
    scripted_server second([&](const seen_request&) {
        return reply(302, "", "location: " + first_url + "end\r\n");
    });
    scripted_server first([&](const seen_request& request) {
        if (request.line().starts_with("GET /end")) return reply(200, "");
        return reply(302, "", "set-cookie: jar=1\r\nlocation: " + second.url() + "\r\n");
    });
    first_url = first.url();
    auto client = [&]() -> task<> {
        http::session session;
        co_await session.get("http://u:p@" + first_url.substr(7)).header("x-token", "t");
        REQUIRE(first.requests.size() == 2);
        CHECK(first.requests[0].field("authorization") == "Basic dTpw");
        CHECK(first.requests[1].field("authorization") == "-");
        CHECK(first.requests[1].field("x-token") == "-");
        CHECK(first.requests[1].field("cookie") == "jar=1");  // the jar's, which knows its host
        CHECK(second.requests[0].field("authorization") == "-");
    };
    co_await first.run([&]() -> task<> { co_await second.run(client); });
}

}  // namespace
