// SPDX-License-Identifier: MIT
// Connections of HTTP/2 that end while the client writes, or before it has begun to read.
#include <rondo/http.hpp>

#include <rondo/memory_stream.hpp>
#include <rondo/net.hpp>
#include <rondo/race.hpp>

#include "http/h2/client.hpp"
#include "http/h2_talk.hpp"
#include "support/core_tools.hpp"
#include "support/rondo_test.hpp"

#ifdef RONDO_WITH_NGHTTP2

using namespace rondo;
using namespace std::chrono_literals;

namespace {

using namespace h2_talk;

/// Settings that let the client send more than any socket holds.
std::string open_windows() {
    const std::string large = number(16U << 20);
    return frame(settings, 0, 0, number(4, 2) + large) + frame(window_update, 0, 0, large);
}
std::string refusal() {
    const std::string status = block({{":status", "413"}});
    const std::string half(10'000, 'n');
    return frame(headers, end_headers, 1, status) + frame(data, 0, 1, half) +
           frame(data, end_stream, 1, half);
}
/// A GOAWAY that comes after more bytes than one read takes.
std::string late_goaway() {
    const std::string unknown(10'000, 'u');
    return frame(32, 0, 0, unknown) + frame(goaway, 0, 0, number(0) + number(0));
}

/// Serves connections one after another; the first ends with `last_words` in the middle of an
/// upload, the others answer.
task<> serve_upload(tcp_listener& listener, std::string last_words, int& connections) {
    for (;;) {
        tcp_stream peer = co_await listener.accept();
        const bool is_first = ++connections == 1;
        const std::string hello = open_windows();
        co_await peer.write_all(hello);
        std::vector<char> some(30'000);
        co_await peer.read_exactly(some);
        const std::string answer = is_first ? last_words : ok(1, {}, end_stream);
        co_await peer.write_all(answer);
        // The close resets the connection: what is not sent yet would be lost.
        const duration pause = is_first ? 1s : 3600s;
        co_await sleep(pause);
    }
}

http::session_options with_http_2_alone() {
    http::session_options options;
    options.version = http::version::http_2;
    return options;
}

/// Uploads to a server whose first connection ends with `last_words`.
/// `check(client, response, connections)` looks at the answer.
template <class Check>
task<> upload_and_check(std::string last_words, Check check) {
    auto listener = tcp_listener::bind({"127.0.0.1", 0});
    const std::string url = "http://" + listener.local().text() + "/";
    int connections = 0;
    auto upload = [&]() -> task<> {
        http::session client(with_http_2_alone());
        auto request = client.post(url).body(std::string(8'000'000, 'u'));
        auto response = co_await std::move(request);
        co_await check(client, response, connections);
    };
    auto serving = serve_upload(listener, std::move(last_words), connections);
    auto uploading = upload();
    co_await race(std::move(serving), std::move(uploading));
}

RONDO_TEST("http2 ends: an answer that came before the connection broke is read", "[http2_ends]",
           seeds(5)) {
    const auto check = [](http::session& client, http::response& response,
                          const int& connections) -> task<> {
        CHECK(response.status() == 413);
        CHECK((co_await response.bytes()).size() == 20'000);
        CHECK(client.connections() <= 1);
        co_await sleep(2s);
        CHECK(client.connections() == 0);
        CHECK(connections == 1);
    };
    co_await upload_and_check(refusal(), check);
}

RONDO_TEST("http2 ends: a POST that the server did not handle is sent again", "[http2_ends]",
           seeds(5)) {
    const auto check = [](http::session&, http::response& response,
                          const int& connections) -> task<> {
        CHECK(response.status() == 200);
        CHECK(connections == 2);
        co_return;
    };
    co_await upload_and_check(late_goaway(), check);
}

RONDO_TEST("http2 ends: a connection that is ended before its reader begins is closed",
           "[http2_ends]") {
    auto ends = memory_stream::pair();
    memory_stream& theirs = ends.second;
    const detail::exchange_options limits{65536, 128, 30s, 30s, 4s, 65536};
    const auto connection = detail::make_h2_connection(std::move(ends.first), limits);
    connection->abort();
    CHECK(connection->room() == 0);
    std::vector<char> some(4096);
    bool has_ended = false;
    auto read_all = [&]() -> task<> {
        try {
            for (chunk came = co_await theirs.read_some(some); came;)
                came = co_await theirs.read_some(some);
        } catch (const std::system_error&) {
        }
        has_ended = true;
    };
    auto reading = read_all();
    co_await move_on_after(1s, std::move(reading));
    CHECK(has_ended);
    auto closing = connection->close();
    CHECK(co_await move_on_after(500ms, std::move(closing)));
    const bool is_alive = co_await connection->is_alive();
    CHECK_FALSE(is_alive);
}

}  // namespace

#endif
