// SPDX-License-Identifier: MIT
// A server for tests of the client: it answers each request with the text that a function returns,
// byte for byte, and keeps what it was asked.
#pragma once

#include <algorithm>
#include <functional>
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

#include "support/rondo_test.hpp"

namespace rondo_tests {

/// A request as it came.
class seen_request {
public:
    int connection = 0;  // the number of the connection, from 1 on
    int number = 0;      // of the request, from 1 on
    std::string head;
    std::string body;

    std::string line() const { return head.substr(0, head.find("\r\n")); }
    /// The value of a header field; "-" if there is none.
    std::string field(std::string_view name) const {
        const std::string wanted = "\r\n" + std::string(name) + ": ";
        const std::size_t at = head.find(wanted);
        if (at == std::string::npos) return "-";
        const std::size_t begin = at + wanted.size();
        return head.substr(begin, head.find("\r\n", begin) - begin);
    }
};

/// "HTTP/1.1 STATUS X", the fields, content-length, the body.
inline std::string reply(int status, std::string_view body, std::string_view fields = "") {
    return "HTTP/1.1 " + std::to_string(status) + " X\r\n" + std::string(fields) +
           "content-length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
}

/// Instead of a reply, a function may return one of these.
inline constexpr std::string_view hang_up = "(hang up)";       // close without a byte
inline constexpr std::string_view stay_silent = "(silent)";    // never answer
/// Put before a reply: close the connection after it.
inline constexpr std::string_view then_close = "(then close)";

class scripted_server {
public:
    using script = std::function<std::string(const seen_request&)>;

    explicit scripted_server(script answer)
        : answer_(std::move(answer)),
          listener_(rondo::tcp_listener::bind({"127.0.0.1", 0})),
          where_(listener_.local()) {}

    /// From now on it speaks TLS.
    void secure(rondo::tls::server_context identity) { identity_ = std::move(identity); }

    std::string url(std::string_view path = "/") const {
        return (identity_ ? "https://" : "http://") + where_.text() + std::string(path);
    }
    rondo::endpoint where() const { return where_; }

    std::vector<seen_request> requests;
    int connections = 0;
    int open = 0;  // connections that are open now
    int open_max = 0;

    /// Runs `client` while the server serves.
    template <class Client>
    rondo::task<> run(Client client) {
        auto serving = serve_all();
        auto asking = client();
        co_await rondo::race(std::move(serving), std::move(asking));
    }

private:
    class counted {
    public:
        explicit counted(scripted_server& of) : of_(of) {
            of_.open_max = std::max(of_.open_max, ++of_.open);
        }
        counted(const counted&) = delete;
        ~counted() { --of_.open; }

    private:
        scripted_server& of_;
    };

    rondo::task<> serve_all() {
        auto handler = [this](rondo::tcp_stream peer) { return talk(std::move(peer)); };
        co_await rondo::serve(std::move(listener_), handler);
    }

    /// A client that leaves in the handshake is no news: so it is not serve's to make.
    rondo::task<> talk(rondo::tcp_stream peer) {
        const counted one(*this);
        const int number = ++connections;
        try {
            if (identity_) {
                auto starting = rondo::start_tls(std::move(peer), *identity_);
                rondo::tls_stream secure = co_await std::move(starting);
                co_await answer_all(secure, number);
                co_await secure.close();
            } else {
                co_await answer_all(peer, number);
            }
        } catch (const rondo::incomplete_read_error&) {  // the client has closed it
        } catch (const rondo::tls_error&) {
        } catch (const std::system_error&) {
        }
    }

    template <class Stream>
    rondo::task<> answer_all(Stream& peer, int number) {
        for (bool more = true; more;) more = co_await answer_one(peer, number);
    }

    template <class Stream>
    rondo::task<bool> answer_one(Stream& peer, int connection) {
        seen_request request;
        request.connection = connection;
        request.head = co_await peer.read_until("\r\n\r\n");
        request.body = co_await read_body(peer, request);
        request.number = static_cast<int>(requests.size()) + 1;
        requests.push_back(request);
        std::string text = answer_(request);
        if (text == hang_up) co_return false;
        if (text == stay_silent) co_await rondo::sleep(std::chrono::hours(9));
        const bool ends = text.starts_with(then_close);
        if (ends) text.erase(0, then_close.size());
        if (request.line().starts_with("HEAD ")) text.erase(text.find("\r\n\r\n") + 4);
        co_await peer.write_all(text);
        co_return !ends;
    }

    template <class Stream>
    static rondo::task<std::string> read_body(Stream& peer, const seen_request& request) {
        const std::string length = request.field("content-length");
        if (length != "-") co_return co_await peer.read_exactly(std::stoul(length));
        std::string body;
        if (request.field("transfer-encoding") != "chunked") co_return body;
        for (;;) {
            const auto line = co_await peer.read_line();
            const std::size_t size = std::stoul(line.value(), nullptr, 16);
            body += co_await peer.read_exactly(size);
            co_await peer.read_exactly(2);
            if (size == 0) co_return body;
        }
    }

    script answer_;
    std::optional<rondo::tls::server_context> identity_;
    rondo::tcp_listener listener_;
    rondo::endpoint where_;
};

/// Asks for `url`, and gives the body.
inline rondo::task<std::string> text_of(rondo::http::session& client, std::string url) {
    auto response = co_await client.get(url);
    co_return co_await response.text();
}
/// The same; the body is read and forgotten.
inline rondo::task<> ask(rondo::http::session& client, std::string url) {
    co_await text_of(client, std::move(url));
}

/// The text of the error that `work` ends with; "no error" if it does not.
inline rondo::task<std::string> error_of(rondo::task<> work) {
    try {
        co_await std::move(work);
    } catch (const std::exception& error) {
        co_return error.what();
    }
    co_return "no error";
}

}  // namespace rondo_tests
