// SPDX-License-Identifier: MIT
// Requests: however they are cut, the outcome is one; a target that is taken can be written.
#include "fuzz/h1_outcome.hpp"
#include "http/h1/encoder.hpp"

namespace h1 = rondo::http::h1;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string_view text = fuzz::text_of(data, size);
    const fuzz::cuts cuts(text);
    h1::request_decoder decoder;
    decoder.begin();
    const auto whole = fuzz::decode(decoder, [&](auto take) { take(text); });
    const h1::request_head head = decoder.head();
    decoder.begin();
    const auto cut = fuzz::decode(decoder, [&](auto take) { cuts.feed(text, take); });
    fuzz::expect(whole == cut, "the outcome does not depend on the cuts");
    if (!whole.done) {
        const int status = decoder.why().status;
        fuzz::expect(status >= 400 && status < 600, "a refusal has a status");
        return 0;
    }
    std::string again;
    h1::write_request_head(again, head.method, head.target, head.headers.get("host").value_or(""),
                           head.headers, h1::body_length::none());
    // The encoder adds fields of its own, and spaces.
    const h1::limits bounds{.head_bytes = 256 * 1024, .fields = 256};
    h1::request_decoder reader(bounds);
    reader.begin();
    fuzz::expect(reader.next(again).what == h1::event::head, "a head that is written can be read");
    fuzz::expect(reader.head().target == head.target, "the target is the same");
    return 0;
}
