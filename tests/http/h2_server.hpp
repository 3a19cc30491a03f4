// SPDX-License-Identifier: MIT
// A server of HTTP/2 for tests of the client, made of the engine: a function answers each request
// as it likes, also wrongly.
#pragma once

#include <algorithm>
#include <chrono>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <rondo/http.hpp>
#include <rondo/net.hpp>
#include <rondo/race.hpp>
#include <rondo/serve.hpp>
#include <rondo/sleep.hpp>
#include <rondo/tls.hpp>

#include "http/h2/engine.hpp"
#include "support/rondo_test.hpp"

namespace rondo_tests {

namespace h2 = rondo::http::h2;
class h2_server;
class h2_peer;

/// A request, as far as it has come, and its reply.
class h2_request final : public h2::stream {
public:
    explicit h2_request(h2_peer& of) : peer(of) {}

    h2_peer& peer;
    h2::head head;
    std::string body;
    std::string reply;
    std::optional<h2::code> closed;  // how it ended

private:
    void on_head(h2::head& come) override;
    void on_data(std::string_view bytes) override;
    void on_end() override;
    void on_closed(const h2::closing& how) override { closed = how.code; }
};

/// A connection, on the server's side.
class h2_peer final : public h2::observer {
public:
    h2_peer(h2_server& of, int which, const h2::options& how)
        : server(of), number(which), engine(h2::role::server, how, *this) {}
    h2_peer(const h2_peer&) = delete;

    h2_server& server;
    int number;  // from 1 on
    std::list<h2_request> requests;
    std::vector<h2_request*> asked;  // complete, and not answered yet
    std::string raw;                 // bytes to send as they are, after those of the engine
    bool hangs_up = false;           // after what there is to send
    bool is_mute = false;            // sends nothing more
    bool consumes = true;
    h2::engine engine;

    void reply(h2_request& to, std::string body, int status = 200,
               rondo::http::fields headers = {}) {
        to.reply = std::move(body);
        const bool has_body = !to.reply.empty() && to.head.method != "HEAD";
        if (!headers.contains("content-length"))
            headers.set("content-length", std::to_string(to.reply.size()));
        engine.respond(to, status, headers, has_body);
        if (has_body) engine.write(to, to.reply, true);
    }

private:
    h2::stream* on_stream() override { return &requests.emplace_back(*this); }
    void on_goaway(std::uint32_t, h2::code, std::string_view) override { ++goaways; }

public:
    int goaways = 0;
};

class h2_server {
public:
    using script = std::function<void(h2_peer&, h2_request&)>;

    explicit h2_server(script answer, h2::options how = {})
        : answer_(std::move(answer)),
          options(how),
          listener_(rondo::tcp_listener::bind({"127.0.0.1", 0})),
          where_(listener_.local()) {}

    /// From now on it speaks TLS, and lets the client choose from `alpn`.
    void secure(rondo::tls::server_context identity, std::string_view alpn = "h2") {
        identity_ = std::move(identity);
        if (alpn == "both")
            identity_->alpn("h2", "http/1.1");
        else
            identity_->alpn(alpn);
    }
    std::string url(std::string_view path = "/") const {
        return (identity_ ? "https://" : "http://") + where_.text() + std::string(path);
    }

    int connections = 0;
    int open = 0, open_max = 0;
    std::size_t streams_max = 0;    // of one connection
    std::vector<std::string> seen;  // "METHOD path" of each complete request
    std::vector<h2_peer*> peers;    // that are open
    std::function<void(h2_request&)> on_head = [](h2_request&) {};
    std::string preamble;  // raw bytes to begin with
    int mute = 0;          // so many connections send nothing, not even settings

    /// Runs `client` while the server serves.
    template <class Client>
    rondo::task<> run(Client client) {
        auto serving = serve_all();
        auto asking = client();
        co_await rondo::race(std::move(serving), std::move(asking));
    }

private:
    friend class h2_request;

    rondo::task<> serve_all() {
        auto handler = [this](rondo::tcp_stream peer) { return talk(std::move(peer)); };
        co_await rondo::serve(std::move(listener_), handler);
    }

    struct counted {
        h2_server& of;
        h2_peer& peer;
        counted(h2_server& server, h2_peer& one) : of(server), peer(one) {
            of.open_max = std::max(of.open_max, ++of.open);
            of.peers.push_back(&peer);
        }
        counted(const counted&) = delete;
        ~counted() {
            --of.open;
            std::erase(of.peers, &peer);
        }
    };

    rondo::task<> talk(rondo::tcp_stream stream) {
        h2_peer peer(*this, ++connections, options);
        const counted one(*this, peer);
        peer.raw = preamble;
        peer.is_mute = peer.number <= mute;
        try {
            if (identity_) {
                auto starting = rondo::start_tls(std::move(stream), *identity_);
                rondo::tls_stream secure = co_await std::move(starting);
                if (secure.alpn() == "h2")
                    co_await move_bytes(secure, peer);
                else
                    co_await speak_http_1(secure);
                co_await secure.close();
            } else {
                co_await move_bytes(stream, peer);
            }
        } catch (const rondo::incomplete_read_error&) {
        } catch (const rondo::tls_error&) {
        } catch (const std::system_error&) {  // the client has gone
        }
    }

    template <class Stream>
    rondo::task<> move_bytes(Stream& stream, h2_peer& peer) {
        std::vector<char> buffer(65536);
        std::string out;
        while (!peer.hangs_up) {
            const rondo::chunk came = co_await stream.read_some(buffer);
            if (!came) co_return;
            peer.engine.receive(came.text());
            while (!peer.asked.empty()) {
                h2_request* const next = peer.asked.front();
                peer.asked.erase(peer.asked.begin());
                if (next->is_open()) answer_(peer, *next);
            }
            if (peer.is_mute) continue;
            for (bool more = true; more;) {
                more = peer.engine.produce(out, 50'000) != 0;
                if (!more) out += std::exchange(peer.raw, {});
                if (!out.empty()) co_await stream.write_all(out);
                out.clear();
            }
            if (peer.engine.is_over()) co_return;
        }
    }

    template <class Stream>
    rondo::task<> speak_http_1(Stream& stream) {
        for (;;) {
            co_await stream.read_until("\r\n\r\n");
            const std::string_view answer = "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nold";
            co_await stream.write_all(answer);
        }
    }

    script answer_;

public:
    h2::options options;

private:
    std::optional<rondo::tls::server_context> identity_;
    rondo::tcp_listener listener_;
    rondo::endpoint where_;
};

inline void h2_request::on_head(h2::head& come) {
    head = std::move(come);
    peer.server.streams_max = std::max(peer.server.streams_max, peer.engine.streams());
    peer.server.on_head(*this);
}
inline void h2_request::on_data(std::string_view bytes) {
    body += bytes;
    if (peer.consumes) peer.engine.consume(*this, bytes.size());
}
inline void h2_request::on_end() {
    peer.server.seen.push_back(head.method + ' ' + head.path);
    peer.asked.push_back(this);
}

inline constexpr auto second_version = rondo::http::version::http_2;

inline rondo::http::session_options with_http_2(
    rondo::duration keep_alive = std::chrono::seconds(4)) {
    rondo::http::session_options options;
    options.version = second_version;
    options.keep_alive = keep_alive;
    return options;
}

/// The body of "/bulk": 3,000,000 bytes, in which no 64 KiB are like others.
inline std::string bulk() {
    std::string text;
    for (int number = 1'000'000; text.size() < 3'000'000; ++number) text += std::to_string(number);
    text.resize(3'000'000);
    return text;
}

/// Answers as its path says.
inline void answer_well(h2_peer& peer, h2_request& request) {
    const std::string& path = request.head.path;
    if (path == "/moved")
        return peer.reply(request, "to", 302, rondo::http::fields().set("location", "/large"));
    if (path == "/large") return peer.reply(request, std::string(200'000, 'x'));
    if (path == "/bulk") return peer.reply(request, bulk());
    if (path == "/none") return peer.reply(request, "", 204);
    if (path == "/never") return;
    if (path == "/reset") return peer.engine.reset(request, h2::code::internal_error);
    if (path == "/refused") return peer.engine.reset(request, h2::code::refused_stream);
    if (path == "/bye") {
        peer.reply(request, "bye");
        peer.engine.end();
        return;
    }
    if (path == "/cut") {
        peer.engine.respond(request, 200, rondo::http::fields().set("content-length", "8"), true);
        peer.engine.write(request, "half");
        peer.hangs_up = true;
        return;
    }
    if (path == "/missing") return peer.reply(request, "no", 404);
    if (request.head.method == "PUT")
        return peer.reply(request, std::to_string(request.body.size()));
    peer.reply(request, request.head.method + ' ' + path);
}

inline rondo::task<> put(rondo::http::session& client, std::string url, std::size_t size) {
    auto request = client.put(url).body(std::string(size, 'u'));
    co_await std::move(request);
}

}  // namespace rondo_tests
