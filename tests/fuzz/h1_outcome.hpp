// SPDX-License-Identifier: MIT
// The outcome of a decoder of HTTP/1.1 for an input, for comparison.
#pragma once

#include <string>
#include <string_view>

#include "fuzz/fuzz.hpp"
#include "http/h1/decoder.hpp"

namespace fuzz {

struct h1_outcome {
    std::string head;
    std::string body;
    std::string trailers;
    rondo::http::h1::fault fault = rondo::http::h1::fault::none;
    bool done = false;
    bool keep_alive = false;
    std::size_t consumed = 0;
    bool operator==(const h1_outcome&) const = default;
};

inline void append(std::string& text, const rondo::http::fields& all) {
    for (const auto& [name, value] : all) {
        expect(rondo::http::is_token(name), "a name is a token");
        expect(rondo::http::is_field_value(value), "a value has no control character");
        ((((text += name) += ": ") += value) += "\r\n");
    }
}

inline std::string start_of(const rondo::http::h1::response_head& head) {
    return std::to_string(head.status) + ' ' + head.reason + "\r\n";
}
inline std::string start_of(const rondo::http::h1::request_head& head) {
    return head.method + ' ' + head.target + "\r\n";
}

/// Takes what `feed(take)` gives in pieces.
template <class Decoder, class Feed>
h1_outcome decode(Decoder& decoder, Feed&& feed) {
    namespace h1 = rondo::http::h1;
    h1_outcome result;
    bool goes_on = true;
    feed([&](std::string_view bytes) {
        while (goes_on) {
            const h1::step step = decoder.next(bytes);
            expect(step.consumed <= bytes.size(), "it consumes what is there");
            result.consumed += step.consumed;
            result.body += step.body;
            bytes.remove_prefix(step.consumed);
            if (step.what == h1::event::head) {
                result.head = start_of(decoder.head());
                append(result.head, decoder.head().headers);
            }
            if (step.what == h1::event::need_more) expect(bytes.empty(), "all was consumed");
            if (step.what == h1::event::need_more) break;
            goes_on = step.what != h1::event::end && step.what != h1::event::failed;
        }
    });
    decoder.finish();
    result.fault = decoder.why().kind;
    result.done = decoder.has_ended();
    result.keep_alive = decoder.keep_alive();
    append(result.trailers, decoder.trailers());
    expect(result.done == (result.fault == h1::fault::none), "it ends or says why");
    expect(result.done || !decoder.why().text.empty(), "a refusal has a text");
    expect(!result.keep_alive || result.done, "only a whole message leaves a good connection");
    if (!result.done) result.consumed = 0;  // a refusal may come before the end of its line
    return result;
}

}  // namespace fuzz
