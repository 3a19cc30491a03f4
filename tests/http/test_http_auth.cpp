// SPDX-License-Identifier: MIT
// Credentials of requests: Digest challenges and their answers, netrc files, and that nothing of
// this goes to another origin.
#include <rondo/http.hpp>

#include <rondo/file_system.hpp>

#include "http/auth.hpp"
#include "http/scripted_server.hpp"
#include "support/file_tools.hpp"
#include "tls/hash.hpp"

using namespace rondo;
using namespace std::chrono_literals;

namespace {

using namespace rondo_tests;

#ifdef RONDO_WITH_OPENSSL

/// The answer to a Digest challenge, as the server sees it.
class seen_answer {
public:
    explicit seen_answer(const seen_request& request)
        : method_(request.line().substr(0, request.line().find(' '))) {
        auto all = http::parse_challenges(request.field("authorization"));
        if (!all.empty() && all[0].scheme == "Digest") answer_ = std::move(all[0]);
    }
    std::string get(std::string_view name) const {
        return answer_ ? std::string(answer_->get(name).value_or("-")) : "-";
    }
    /// Whether user and password are right, by RFC 7616, section 3.4.
    bool is_right(const std::string& user, const std::string& password) const {
        if (!answer_ || get("username") != user) return false;
        const bool is_sha = get("algorithm").starts_with("SHA");
        const auto hash = is_sha ? rondo::detail::sha256_text : rondo::detail::md5_text;
        std::string secret = hash(user + ':' + get("realm") + ':' + password);
        if (get("algorithm").ends_with("-sess"))
            secret = hash(secret + ':' + get("nonce") + ':' + get("cnonce"));
        const std::string what = hash(method_ + ':' + get("uri"));
        std::string middle = get("nonce") + ':';
        if (get("qop") == "auth") middle += get("nc") + ':' + get("cnonce") + ":auth:";
        return get("response") == hash(secret + ':' + middle + what);
    }

private:
    std::string method_;
    std::optional<http::challenge> answer_;
};

std::string challenge_of(const std::string& parameters) {
    return reply(401, "who?", "www-authenticate: Digest realm=\"r\", " + parameters + "\r\n");
}

RONDO_TEST("http digest: each algorithm is answered, and the answer serves the next requests",
           "[http_auth]") {
    std::string parameters;
    scripted_server server([&](const seen_request& request) {
        const seen_answer answer(request);
        return answer.is_right("ann", "pw") ? reply(200, "in") : challenge_of(parameters);
    });
    co_await server.run([&]() -> task<> {
        for (const char* algorithm :
             {"", "algorithm=MD5, ", "algorithm=SHA-256, ", "algorithm=MD5-sess, ",
              "algorithm=SHA-256-sess, "}) {
            for (const char* qop : {"qop=\"auth,auth-int\"", "opaque=o"}) {
                INFO(algorithm << qop);
                http::session client;
                parameters = std::string(algorithm) + "nonce=\"n\", " + qop;
                server.requests.clear();
                auto first = co_await client.get(server.url("/a?b=c")).digest_auth("ann", "pw");
                CHECK(first.status() == 200);
                CHECK(server.requests.size() == 2);
                CHECK(server.requests[0].field("authorization") == "-");
                auto second =
                    co_await client.post(server.url("/b")).body("text").digest_auth("ann", "pw");
                CHECK(second.status() == 200);
                REQUIRE(server.requests.size() == 3);
                CHECK(server.requests[2].body == "text");
                CHECK(seen_answer(server.requests[1]).get("uri") == "/a?b=c");
                const bool has_qop = std::string_view(qop).starts_with("qop");
                CHECK(seen_answer(server.requests[1]).get("nc") == (has_qop ? "00000001" : "-"));
                CHECK(seen_answer(server.requests[2]).get("nc") == (has_qop ? "00000002" : "-"));
                CHECK(seen_answer(server.requests[2]).get("opaque") == (has_qop ? "-" : "o"));
                co_await client.close();
            }
        }
    });
}

RONDO_TEST("http digest: a nonce that is too old, the next one, and a wrong password",
           "[http_auth]") {
    std::string nonce = "first";
    scripted_server server([&](const seen_request& request) {
        const seen_answer answer(request);
        const bool is_known = answer.is_right("ann", "pw");
        if (request.line().find("/next") != std::string::npos && is_known)
            return reply(200, "", "authentication-info: qop=auth, nextnonce=\"n, 2\"\r\n");
        if (is_known && answer.get("nonce") == nonce) return reply(200, "in");
        const std::string stale = is_known ? ", stale=true" : "";
        return challenge_of("qop=auth, nonce=\"" + nonce + '"' + stale);
    });
    co_await server.run([&]() -> task<> {
        http::session client;
        auto ask = [&](std::string path) -> task<int> {
            auto response = co_await client.get(server.url(path)).digest_auth("ann", "pw");
            co_return response.status();
        };
        CHECK(co_await ask("/") == 200);
        nonce = "second";
        CHECK(co_await ask("/") == 200);
        CHECK(server.requests.size() == 4);
        CHECK(seen_answer(server.requests[3]).get("nonce") == "second");
        CHECK(seen_answer(server.requests[3]).get("nc") == "00000001");
        CHECK(co_await ask("/next") == 200);
        nonce = "n, 2";
        CHECK(co_await ask("/") == 200);
        CHECK(server.requests.size() == 6);
        CHECK(seen_answer(server.requests[5]).get("nc") == "00000001");
        server.requests.clear();
        auto wrong = co_await client.get(server.url()).digest_auth("ann", "guess");
        CHECK(wrong.status() == 401);
        CHECK(co_await wrong.text() == "who?");
        CHECK(server.requests.size() == 2);  // it does not go on guessing
    });
}

async_generator<std::string> two_pieces() {
    co_yield std::string("one ");
    co_yield std::string("two");
}

RONDO_TEST("http digest: a body that can be sent only once waits for a challenge",
           "[http_auth]") {
    scripted_server server([](const seen_request& request) {
        const bool is_known = seen_answer(request).is_right("ann", "pw");
        return is_known ? reply(200, "") : challenge_of("qop=auth, nonce=n");
    });
    co_await server.run([&]() -> task<> {
        http::session client;
        auto post = [&]() -> task<> {
            co_await client.post(server.url()).body(two_pieces()).digest_auth("ann", "pw");
        };
        CHECK((co_await error_of(post())).starts_with("Digest authentication needs a challenge"));
        CHECK(server.requests.empty());
        co_await client.head(server.url()).digest_auth("ann", "pw");
        CHECK(co_await error_of(post()) == "no error");
        CHECK(server.requests.back().body == "one two");
    });
}

RONDO_TEST("http digest: what cannot be answered is the response; nothing goes elsewhere",
           "[http_auth]") {
    scripted_server other([](const seen_request& request) {
        return request.field("authorization") == "-" ? challenge_of("qop=auth, nonce=x")
                                                     : reply(200, "");
    });
    scripted_server server([&](const seen_request& request) {
        if (request.line().find("/basic") != std::string::npos)
            return reply(401, "", "www-authenticate: Basic realm=r\r\n");
        if (!seen_answer(request).is_right("ann", "pw"))
            return challenge_of("qop=auth, nonce=n");
        return reply(302, "", "location: " + other.url() + "\r\n");
    });
    co_await server.run([&]() -> task<> {
        co_await other.run([&]() -> task<> {
            http::session client;
            auto basic = co_await client.get(server.url("/basic")).digest_auth("ann", "pw");
            CHECK(basic.status() == 401);
            CHECK(server.requests.size() == 1);
            auto redirected = co_await client.get(server.url()).digest_auth("ann", "pw");
            CHECK(redirected.status() == 401);
            REQUIRE(other.requests.size() == 1);
            CHECK(other.requests[0].field("authorization") == "-");
        });
    });
}

#endif

RONDO_TEST("http netrc: only if it is asked for, below the request's own, and for one origin",
           "[http_auth][both]") {
    rondo_tests::folder folder;
    co_await write_file(folder / "netrc",
                        "machine 127.0.0.1 login ann password pw\ndefault login any password x\n");
    scripted_server other([](const seen_request&) { return reply(200, ""); });
    scripted_server server([&](const seen_request& request) {
        if (request.line().find("/away") == std::string::npos) return reply(200, "");
        return reply(302, "", "location: " + other.url() + "\r\n");
    });
    co_await server.run([&]() -> task<> {
        co_await other.run([&]() -> task<> {
            http::session client;
            co_await client.get(server.url());
            client.netrc(folder / "netrc");
            co_await client.get(server.url());
            co_await client.get(server.url()).bearer("own");
            co_await client.get("http://url:user@" + server.where().text() + "/");
            co_await client.get(server.url("/away"));
            const std::string ann = "Basic YW5uOnB3";
            CHECK(server.requests[0].field("authorization") == "-");
            CHECK(server.requests[1].field("authorization") == ann);
            CHECK(server.requests[2].field("authorization") == "Bearer own");
            CHECK(server.requests[3].field("authorization") == "Basic dXJsOnVzZXI=");
            CHECK(server.requests[4].field("authorization") == ann);
            CHECK(other.requests[0].field("authorization") == "-");
            client.netrc(folder / "nothing");
            auto ask = [&]() -> task<> { co_await client.get(server.url()); };
            CHECK((co_await error_of(ask())).find("nothing") != std::string::npos);
        });
    });
}

}  // namespace
