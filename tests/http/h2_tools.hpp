// SPDX-License-Identifier: MIT
// For tests of HTTP/2 on the server: a client made of the engine, and the frames that come back.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http/h2_talk.hpp"
#include "http/server_tools.hpp"

namespace rondo_tests {

namespace h2 = rondo::http::h2;

/// A request of the client, and all that comes back.
class h2_exchange final : public h2::stream {
public:
    int status = 0;
    std::vector<int> interim;
    rondo::http::fields headers;
    std::string body;
    bool has_ended = false;
    std::optional<h2::code> closed;  // as what it was closed
    bool is_closed_by_peer = false;
    bool consumes = true;  // opens the window for what has come

    std::string header(std::string_view name) const {
        return std::string(headers.get(name).value_or("(none)"));
    }
    h2::engine* of = nullptr;
    std::string to_send;
    rondo::http::fields trailers_to_send;

private:
    void on_head(h2::head& come) override {
        status = come.status;
        headers = come.headers;
    }
    void on_interim(h2::head& come) override { interim.push_back(come.status); }
    void on_data(std::string_view bytes) override {
        body += bytes;
        if (consumes) of->consume(*this, bytes.size());
    }
    void on_end() override { has_ended = true; }
    void on_closed(const h2::closing& how) override {
        closed = how.code;
        is_closed_by_peer = how.is_by_peer;
    }
};

/// A client on one connection. It does something only while a test awaits one of its functions.
class h2_client final : h2::observer {
public:
    explicit h2_client(raw_client& raw, const h2::options& how = {})
        : raw_(raw), engine_(h2::role::client, how, *this) {}

    /// Sends and receives until the server is silent for that long, or has closed.
    rondo::task<> talk(rondo::duration quiet = std::chrono::milliseconds(10),
                       std::size_t reads_max = ~std::size_t{0}) {
        std::vector<char> room(65536);
        for (std::size_t reads = 0; !is_closed && reads < reads_max; ++reads) {
            std::string out;
            while (engine_.produce(out, 1 << 20) != 0) continue;
            if (!out.empty()) co_await raw_.stream().write_all(out);
            const auto came = co_await rondo::move_on_after(quiet, raw_.stream().read_some(room));
            if (!came) co_return;
            is_closed = !*came;
            engine_.receive(came->text());
        }
    }
    /// Begins a request; the body, if there is one, is complete.
    h2_exchange& begin(std::string_view method, std::string_view path,
                       const rondo::http::fields& headers = {}, std::string body = {},
                       const rondo::http::fields& trailers = {}) {
        h2_exchange& made = open(method, path, headers, !body.empty() || !trailers.empty());
        made.to_send = std::move(body);
        if (!made.to_send.empty()) engine_.write(made, made.to_send, trailers.empty());
        if (!trailers.empty()) engine_.finish(made, trailers);
        return made;
    }
    /// Begins a request whose body is given later.
    h2_exchange& open(std::string_view method, std::string_view path,
                      const rondo::http::fields& headers = {}, bool has_body = true) {
        all_.push_back(std::make_unique<h2_exchange>());
        h2_exchange& made = *all_.back();
        made.of = &engine_;
        const h2::request_line line{method, "http", "x", path};
        engine_.request(made, line, headers, has_body);
        return made;
    }
    /// The same, and waits for the answer.
    rondo::task<h2_exchange*> ask(std::string method, std::string path,
                                  rondo::http::fields headers = {}, std::string body = {}) {
        h2_exchange& made = begin(method, path, headers, std::move(body));
        co_await talk();
        co_return &made;
    }
    h2::engine& engine() noexcept { return engine_; }
    raw_client& raw() noexcept { return raw_; }

    bool is_closed = false;              // by the server
    std::optional<h2::code> goaway;      // the last one
    std::vector<std::uint32_t> last_ids;  // of all
    std::string goaway_text;

private:
    h2::stream* on_stream() override { return nullptr; }
    void on_goaway(std::uint32_t last, h2::code why, std::string_view text) override {
        goaway = why;
        goaway_text = text;
        last_ids.push_back(last);
    }

    raw_client& raw_;
    h2::engine engine_;
    std::vector<std::unique_ptr<h2_exchange>> all_;
};

// -- frames --------------------------------------------------------------------------------------
struct heard_frame {
    std::uint8_t type;
    std::uint8_t flags;
    std::uint32_t id;
    std::string payload;
};
inline std::uint32_t number32_at(std::string_view bytes, std::size_t at) {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < 4; ++i)
        value = value << 8 | static_cast<unsigned char>(bytes.at(at + i));
    return value;
}
/// The frames of all that was heard.
inline std::vector<heard_frame> frames_of(std::string_view bytes) {
    std::vector<heard_frame> all;
    while (bytes.size() >= 9) {
        const std::size_t size = number32_at(bytes, 0) >> 8;
        if (bytes.size() < 9 + size) break;
        all.push_back({static_cast<std::uint8_t>(bytes[3]), static_cast<std::uint8_t>(bytes[4]),
                       number32_at(bytes, 5), std::string(bytes.substr(9, size))});
        bytes.remove_prefix(9 + size);
    }
    return all;
}
/// "goaway 5" with the code of the first GOAWAY that has one; otherwise "reset 1" with that of the
/// first stream that is reset, or "answer" for a head, whatever came first; or "silence".
inline std::string verdict(std::string_view bytes) {
    std::string found = "silence";
    for (const heard_frame& each : frames_of(bytes)) {
        if (each.type == h2_talk::goaway && number32_at(each.payload, 4) != 0)
            return "goaway " + std::to_string(number32_at(each.payload, 4));
        if (each.type == h2_talk::rst_stream && found == "silence")
            found = "reset " + std::to_string(number32_at(each.payload, 0));
        if (each.type == h2_talk::headers && found == "silence") found = "answer";
    }
    return found;
}

// -- a site --------------------------------------------------------------------------------------
namespace handlers {

inline reply large(request&) { return reply::text(std::string(300000, 'x')); }
inline task<> tick(rondo::http::body_writer& out) {
    for (int i = 1; i <= 3; ++i) {
        co_await out.write_all(std::to_string(i));
        co_await rondo::sleep(std::chrono::milliseconds(10));
    }
    out.trailers().add("x-count", "3");
}
inline task<reply> ticks(request&) { co_return reply::stream("text/plain", tick); }
inline task<> break_off(rondo::http::body_writer& out) {
    co_await out.write_all("half");
    throw std::runtime_error("no more");
}
inline reply half(request&) { return reply::stream("text/plain", break_off); }
/// Says how the handler sees the request.
inline task<reply> mirror(request& asked) {
    std::string all(rondo::http::text(asked.version()));
    ((all += ' ') += asked.host()) += ' ';
    all += asked.target();
    ((all += " cookies: ") += asked.headers().joined("cookie")) += ' ';
    all += asked.cookie("b").value_or("(none)");
    while (auto chunk = co_await asked.read_some()) (all += " body: ") += chunk.text();
    (all += " trailer: ") += asked.trailers().get("x-t").value_or("(none)");
    co_return reply::text(std::move(all));
}

}  // namespace handlers

inline rondo::http::router make_h2_site() {
    rondo::http::router site = plain_site();
    site.get("/large", handlers::large);
    site.get("/ticks", handlers::ticks);
    site.get("/half", handlers::half);
    site.get("/mirror", handlers::mirror);
    site.post("/mirror", handlers::mirror);
    site.post("/ignore-large", handlers::large);
    return site;
}

}  // namespace rondo_tests
