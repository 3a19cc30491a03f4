// SPDX-License-Identifier: MIT
// Both sides of HTTP/2 in memory: engines that write down their events, and frames made by hand,
// also wrong ones.
#pragma once

#include <cstdint>
#include <list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http/h2/engine.hpp"

namespace h2_talk {

namespace h2 = rondo::http::h2;
using rondo::http::fields;

// -- frames by hand ------------------------------------------------------------------------------
enum kind : unsigned char {
    data = 0,
    headers = 1,
    priority = 2,
    rst_stream = 3,
    settings = 4,
    push_promise = 5,
    ping = 6,
    goaway = 7,
    window_update = 8,
    continuation = 9,
};
constexpr unsigned end_stream = 1, ack = 1, end_headers = 4, padded = 8;

inline std::string number(std::uint32_t value, unsigned bytes = 4) {
    std::string text;
    while (bytes-- != 0) text += static_cast<char>(value >> (8 * bytes));
    return text;
}
inline std::string frame(unsigned type, unsigned flags, std::uint32_t stream,
                         std::string_view payload = {}) {
    return number(static_cast<std::uint32_t>(payload.size()), 3) + static_cast<char>(type) +
           static_cast<char>(flags) + number(stream) + std::string(payload);
}
/// A field that no table knows (RFC 7541, section 6.2.2).
inline std::string literal(std::string_view name, std::string_view value) {
    const auto counted = [](std::string_view text) {
        std::string size;
        std::size_t left = text.size();
        if (left < 127) {
            size += static_cast<char>(left);
        } else {
            size += static_cast<char>(127);
            for (left -= 127; left >= 128; left /= 128) size += static_cast<char>(left % 128 + 128);
            size += static_cast<char>(left);
        }
        return size + std::string(text);
    };
    return std::string(1, '\0') + counted(name) + counted(value);
}
using pairs = std::vector<std::pair<std::string, std::string>>;
inline std::string block(const pairs& all) {
    std::string text;
    for (const auto& [name, value] : all) text += literal(name, value);
    return text;
}
inline const std::string preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
inline const std::string hello_client = preface + frame(settings, 0, 0);
inline const std::string hello_server = frame(settings, 0, 0);
inline std::string get(std::uint32_t id, const pairs& more = {}, unsigned flags = end_stream) {
    return frame(
        headers, flags | end_headers, id,
        block({{":method", "GET"}, {":scheme", "http"}, {":path", "/"}, {":authority", "test"}}) +
            block(more));
}
inline std::string ok(std::uint32_t id, const pairs& more = {}, unsigned flags = 0) {
    return frame(headers, flags | end_headers, id, block({{":status", "200"}}) + block(more));
}

// -- engines that write down ---------------------------------------------------------------------
inline std::string text_of(const fields& all) {
    std::string text;
    for (const auto& [name, value] : all)
        text += ' ' + std::string(name) + '=' + std::string(value);
    return text;
}

class side;

class noted_stream final : public h2::stream {
public:
    explicit noted_stream(side& of) : side_(of) {}
    std::string body;
    std::string out;
    bool is_closed = false;
    h2::closing how;

private:
    void note(const std::string& text);
    void on_head(h2::head& come) override;
    void on_interim(h2::head& come) override {
        note("interim " + std::to_string(come.status) + text_of(come.headers));
    }
    void on_data(std::string_view bytes) override { body += bytes; }
    void on_end() override;
    void on_closed(const h2::closing& ending) override {
        how = ending;
        is_closed = true;
        note("closed " + text(ending.code) + (ending.is_by_peer ? " by peer" : "") +
             (ending.why.empty() ? "" : ": " + std::string(ending.why)));
    }
    side& side_;
};

/// One side. `events` has a line for each event, without the pieces of the bodies.
class side final : public h2::observer {
public:
    explicit side(h2::role which, const h2::options& how = {}) : engine(which, how, *this) {}
    ~side() = default;

    noted_stream& add() { return streams.emplace_back(*this); }
    noted_stream& get(const fields& headers = {}, bool has_body = false,
                      std::string_view method = "GET", std::string_view path = "/") {
        noted_stream& made = add();
        engine.request(made, {method, "http", "test", path}, headers, has_body);
        return made;
    }
    std::string produce(std::size_t limit = 1 << 20) {
        std::string out;
        while (engine.produce(out, limit) != 0) {
        }
        return out;
    }

    std::list<noted_stream> streams;  // destroyed after the engine
    std::string events;
    bool refuses = false;
    bool consumes = true;
    bool is_echo = false;  // a server answers with what has come
    h2::engine engine;

private:
    h2::stream* on_stream() override { return refuses ? nullptr : &add(); }
    void on_goaway(std::uint32_t last, h2::code why, std::string_view reason) override {
        events +=
            "goaway " + std::to_string(last) + ' ' + text(why) + ' ' + std::string(reason) + '\n';
    }
    void on_settings() override { events += "settings\n"; }
    void on_ping_answer() override { events += "ping\n"; }
};

inline void noted_stream::note(const std::string& text) {
    side_.events += std::to_string(id()) + ' ' + text + '\n';
}
inline void noted_stream::on_head(h2::head& come) {
    if (come.status != 0)
        note("head " + std::to_string(come.status) + text_of(come.headers));
    else
        note("head " + come.method + ' ' + come.scheme + ' ' + come.authority + ' ' + come.path +
             text_of(come.headers) + (come.is_too_large ? " too large" : ""));
}
inline void noted_stream::on_end() {
    note("end " + std::to_string(body.size()) + text_of(trailers()));
    if (side_.consumes) side_.engine.consume(*this, unconsumed());
    if (!side_.is_echo) return;
    fields with;
    with.set("content-length", std::to_string(body.size()));
    side_.engine.respond(*this, 200, with, true);
    side_.engine.write(*this, body, true);
}

/// Moves bytes between the two until neither has any. `step` bytes at a time; 0: all.
inline void exchange(side& a, side& b, std::size_t step = 0) {
    for (;;) {
        const std::string from_a = a.produce(), from_b = b.produce();
        if (from_a.empty() && from_b.empty()) return;
        const auto give = [&](side& to, std::string_view bytes) {
            while (!bytes.empty()) {
                const std::string piece(bytes.substr(0, step == 0 ? bytes.size() : step));
                bytes.remove_prefix(piece.size());
                to.engine.receive(piece);
            }
            for (noted_stream& each : to.streams)
                if (to.consumes) to.engine.consume(each, each.unconsumed());
        };
        give(b, from_a);
        give(a, from_b);
    }
}

}  // namespace h2_talk
