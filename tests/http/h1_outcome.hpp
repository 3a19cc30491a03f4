// SPDX-License-Identifier: MIT
// The outcome of decoding a text of HTTP/1.1, which must be the same however the text is cut.
#pragma once

#include <string>
#include <string_view>

#include "http/h1/decoder.hpp"
#include "http/split_ways.hpp"
#include "support/catch.hpp"

namespace h1_outcome {

namespace h1 = rondo::http::h1;
using h1::event;
using split_ways::pieces;

struct outcome {
    int status = 0;      // of a response; of a refused request, the answer
    std::string start;   // "reason", "GET /x"
    std::string fields;  // "a=b;c=d;"
    std::string body;
    std::string trailers;
    std::string error;
    int interim = 0;
    bool done = false;
    bool keep_alive = false;
    std::size_t consumed = 0;
    bool operator==(const outcome&) const = default;
};

inline void demand(bool holds, const char* what) {
    if (!holds) FAIL(what);
}

inline std::string text_of(const rondo::http::fields& all) {
    std::string text;
    for (const auto& [name, value] : all) ((((text += name) += '=') += value) += ';');
    return text;
}

inline void note_head(const h1::response_decoder& from, outcome& result) {
    result.status = from.head().status;
    result.start = from.head().reason;
    result.fields = text_of(from.head().headers);
}

inline void note_head(const h1::request_decoder& from, outcome& result) {
    result.start = from.head().method + ' ' + from.head().target;
    result.fields = text_of(from.head().headers);
}

/// Feeds one piece. Returns: false after `end` and `failed`.
template <class Decoder>
bool give(Decoder& decoder, std::string_view bytes, outcome& result) {
    for (;;) {
        const h1::step step = decoder.next(bytes);
        demand(step.consumed <= bytes.size(), "it consumes what is there");
        if (step.what == event::body) {
            demand(!step.body.empty() && step.body.data() >= bytes.data() &&
                       step.body.data() + step.body.size() == bytes.data() + step.consumed,
                   "a body is a part of the input");
            result.body += step.body;
        }
        result.consumed += step.consumed;
        bytes.remove_prefix(step.consumed);
        if (step.what == event::head) note_head(decoder, result);
        if (step.what == event::interim) ++result.interim;
        if (step.what == event::need_more) demand(bytes.empty(), "all was consumed");
        if (step.what == event::need_more) return true;
        if (step.what == event::end || step.what == event::failed) return false;
    }
}

template <class Decoder>
outcome receive(Decoder& decoder, const pieces& parts) {
    outcome result;
    bool goes_on = true;
    split_ways::feed(
        parts, [&](std::string_view bytes) { goes_on = goes_on && give(decoder, bytes, result); });
    const h1::step last = decoder.finish();
    result.done = last.what == event::end;
    demand(result.done == decoder.has_ended(), "finish() tells how it ended");
    result.error = decoder.why().text;
    if (last.what == event::failed && result.status == 0) result.status = decoder.why().status;
    result.keep_alive = decoder.keep_alive();
    result.trailers = text_of(decoder.trailers());
    demand(decoder.body_bytes() == result.body.size(), "body_bytes() counts the body");
    return result;
}

/// The part of an outcome that does not depend on how the bytes were cut: a refusal may come before
/// or after the end of its line, and quotes what has come by then.
inline outcome same_part(outcome result) {
    if (!result.done) result.consumed = 0;
    if (const auto quote = result.error.find("it says \""); quote != std::string::npos)
        result.error.resize(quote);
    return result;
}

inline outcome response(std::string_view text, std::string_view method = "GET",
                        bool upgrade = false) {
    return split_ways::same_every_way(text, [&](const pieces& parts) {
        h1::response_decoder decoder;
        decoder.begin(method, upgrade);
        return same_part(receive(decoder, parts));
    });
}

inline outcome request(std::string_view text) {
    return split_ways::same_every_way(text, [&](const pieces& parts) {
        h1::request_decoder decoder;
        decoder.begin();
        return same_part(receive(decoder, parts));
    });
}

}  // namespace h1_outcome
