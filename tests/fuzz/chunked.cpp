// SPDX-License-Identifier: MIT
// Bodies in chunks: however they are cut, the outcome is one; a body that is taken can be written
// in chunks and is then read as the same body.
#include "fuzz/h1_outcome.hpp"
#include "http/h1/encoder.hpp"

namespace h1 = rondo::http::h1;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    std::string_view rest = fuzz::text_of(data, size);
    const fuzz::cuts cuts(rest);
    const std::string text = head + std::string(rest);
    h1::response_decoder decoder;
    const auto outcome_of = [&](auto&& feed) {
        decoder.begin("GET");
        return fuzz::decode(decoder, feed);
    };
    const auto whole = outcome_of([&](auto take) { take(std::string_view(text)); });
    const auto cut = outcome_of([&](auto take) { cuts.feed(text, take); });
    fuzz::expect(whole == cut, "the outcome does not depend on the cuts");
    fuzz::expect(whole.body.size() <= rest.size(), "a body is a part of its chunks");
    if (!whole.done) return 0;

    std::string again = head;
    cuts.feed(whole.body, [&](std::string_view piece) {
        ((again += h1::chunk_head(piece.size()).text()) += piece) += h1::chunk_end;
    });
    h1::write_last_chunk(again, decoder.trailers());
    const auto second = outcome_of([&](auto take) { take(std::string_view(again)); });
    fuzz::expect(second.done && second.body == whole.body, "the body is the same");
    fuzz::expect(second.trailers == whole.trailers, "the trailers are the same");
    return 0;
}
