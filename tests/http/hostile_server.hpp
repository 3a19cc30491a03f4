// SPDX-License-Identifier: MIT
// A server that misbehaves, step by step, plain or over TLS; and what a client must make of it.
#pragma once

#include <malloc.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <rondo/http.hpp>
#include <rondo/race.hpp>
#include <rondo/serve.hpp>
#include <rondo/sleep.hpp>

#include "support/tls_tools.hpp"

namespace rondo_tests {

/// Steps of a server on a connection. It ends by reading until the client closes.
class behaviour {
public:
    enum class kind { read_head, read_some, send, drip, repeat, pause, close, cut };
    struct step {
        kind what;
        std::string text{};
        std::size_t count = 0;
        duration span{};
    };

    behaviour read_head() const { return with({kind::read_head}); }
    /// Reads `count` bytes, at most 50,000 a second.
    behaviour read_slowly(std::size_t count) const {
        return with({kind::read_some, {}, count, std::chrono::seconds(1)});
    }
    behaviour send(std::string text) const { return with({kind::send, std::move(text)}); }
    /// Sends byte by byte, each `every`.
    behaviour drip(std::string text, duration every) const {
        return with({kind::drip, std::move(text), 0, every});
    }
    /// Sends the text so often; without a number, for ever.
    behaviour repeat(std::string text, std::size_t count = ~std::size_t{0}) const {
        return with({kind::repeat, std::move(text), count});
    }
    behaviour pause(duration span) const { return with({kind::pause, {}, 0, span}); }
    behaviour close() const { return with({kind::close}); }
    /// Plain: a reset. TLS: the end of the connection without a close_notify.
    behaviour cut() const { return with({kind::cut}); }
    /// Only the first connection misbehaves.
    behaviour once() const {
        behaviour copy = *this;
        copy.connections = 1;
        return copy;
    }

    std::vector<step> steps;
    int connections = 1'000'000;  // that misbehave

private:
    behaviour with(step one) const {
        behaviour copy = *this;
        copy.steps.push_back(std::move(one));
        return copy;
    }
};

/// Reads the head of a request and sends `text`.
inline behaviour answer(std::string text) { return behaviour().read_head().send(std::move(text)); }

inline const std::string good_reply = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ngood";

/// Bytes on the heap; 0 under a sanitizer.
inline std::size_t heap_bytes() {
    const auto info = ::mallinfo2();
    return info.uordblks + info.hblkhd;
}

class hostile_server {
public:
    hostile_server(behaviour does, bool secure)
        : does_(std::move(does)),
          secure_(secure),
          listener_(tcp_listener::bind({"127.0.0.1", 0})),
          where_(listener_.local()) {}

    std::string url() const { return (secure_ ? "https://" : "http://") + where_.text() + '/'; }
    /// From now on every request gets the good reply.
    void behave() noexcept { does_.connections = 0; }

    int open = 0;
    std::size_t heap_most = 0;

    template <class Client>
    task<> run(Client client) {
        auto serving = serve_all();
        auto asking = client();
        co_await race(std::move(serving), std::move(asking));
    }

private:
    class counted {
    public:
        explicit counted(hostile_server& of) : of_(of) { ++of_.open; }
        counted(const counted&) = delete;
        ~counted() { --of_.open; }

    private:
        hostile_server& of_;
    };

    task<> serve_all() {
        if (secure_) {
            auto handler = [this](tls_stream peer) { return talk(std::move(peer)); };
            auto listener = tls_listener(std::move(listener_), localhost_context());
            co_await serve(std::move(listener), handler);
        } else {
            auto handler = [this](tcp_stream peer) { return talk(std::move(peer)); };
            co_await serve(std::move(listener_), handler);
        }
    }

    template <class Stream>
    task<> talk(Stream peer) {
        const counted one(*this);
        const int number = ++connections_;
        try {
            if (number <= does_.connections)
                for (const behaviour::step& next : does_.steps) co_await perform(peer, next);
            std::string unread;
            char room[4096];
            while (const auto came = co_await peer.read_some(room)) {
                unread = unread.substr(unread.size() - std::min<std::size_t>(unread.size(), 3));
                unread += came.text();
                const bool is_asked = unread.find("\r\n\r\n") != std::string::npos;
                if (is_asked && number > does_.connections) co_await peer.write_all(good_reply);
            }
        } catch (const std::exception&) {  // the client has had enough
        }
    }

    template <class Stream>
    task<> perform(Stream& peer, const behaviour::step& next) {
        using kind = behaviour::kind;
        switch (next.what) {
            case kind::read_head: co_await peer.read_until("\r\n\r\n"); break;
            case kind::read_some:
                for (std::size_t got = 0; got < next.count;) {
                    char room[4096];
                    const auto came = co_await peer.read_some(room);
                    if (!came) co_return;
                    got += came.size();
                    co_await sleep(next.span * came.size() / 50'000);
                }
                break;
            case kind::send: co_await send(peer, next.text); break;
            case kind::drip:
                for (const char& one : next.text) {
                    co_await send(peer, std::string_view(&one, 1));
                    co_await sleep(next.span);
                }
                break;
            case kind::repeat:
                for (std::size_t i = 0; i < next.count; ++i) co_await send(peer, next.text);
                break;
            case kind::pause: co_await sleep(next.span); break;
            case kind::close: co_await peer.close(); break;
            case kind::cut: peer.abort(); break;
        }
    }

    template <class Stream>
    task<> send(Stream& peer, std::string_view text) {
        co_await peer.write_all(text);
        heap_most = std::max(heap_most, heap_bytes());
    }

    behaviour does_;
    bool secure_;
    tcp_listener listener_;
    endpoint where_;
    int connections_ = 0;
};

// -- the client -----------------------------------------------------------------------------------

/// How the client asks.
enum class use {
    text,       // GET, the whole body
    some,       // GET, the body in pieces, as much as there is
    kilobytes,  // GET, at most 64 KiB of body
    head,       // HEAD
    upload,     // POST with 2 MB
    twice,      // GET, and 10 ms later another one
    then_post,  // GET, and 10 ms later a POST
};

/// The end of a request: the type of the error and its text, or "taken" and the body.
struct client_end {
    std::string type;
    std::string text;
};

inline task<std::string> use_session(http::session& client, std::string url, use how) {
    if (how == use::twice || how == use::then_post) {
        auto first = co_await client.get(url);
        co_await first.text();
        co_await sleep(std::chrono::milliseconds(10));
    }
    auto request = client.get(url);
    if (how == use::head) request = client.head(url);
    if (how == use::then_post) request = client.post(url).body("once");
    if (how == use::upload) request = client.post(url).body(std::string(2'000'000, 'u'));
    auto response = co_await std::move(request);  // without a copy of the body
    if (how == use::kilobytes) co_return co_await response.bytes(64 * 1024);
    if (how != use::some) co_return co_await response.text();
    std::string all;
    while (auto piece = co_await response.read_some())
        if (all.size() < 1000) all += piece.text();
    co_return all;
}

template <class Error>
inline bool is_a(const std::exception& error) {
    return dynamic_cast<const Error*>(&error) != nullptr;
}

inline std::string type_of(const std::exception& error) {
    if (is_a<http::timeout_error>(error)) return "timeout_error";
    if (is_a<http::protocol_error>(error)) return "protocol_error";
    if (is_a<http::body_error>(error)) return "body_error";
    if (is_a<http::limit_error>(error)) return "limit_error";
    if (is_a<http::redirect_error>(error)) return "redirect_error";
    if (is_a<http::connect_error>(error)) return "connect_error";
    if (is_a<http::tls_error>(error)) return "tls_error";
    if (is_a<http::url_error>(error)) return "url_error";
    if (is_a<http::error>(error)) return "error";
    return "another type";
}

inline task<client_end> ending_of(http::session& client, std::string url, use how) {
    try {
        std::string body = co_await use_session(client, std::move(url), how);
        co_return client_end{"taken", std::move(body)};
    } catch (const std::exception& error) {
        co_return client_end{type_of(error), error.what()};
    }
}

}  // namespace rondo_tests
