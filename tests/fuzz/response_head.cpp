// SPDX-License-Identifier: MIT
// Responses: however they are cut, the outcome is one; a head that is taken can be written and is
// then read as the same head.
#include "fuzz/h1_outcome.hpp"
#include "http/h1/encoder.hpp"

namespace h1 = rondo::http::h1;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string_view text = fuzz::text_of(data, size);
    const fuzz::cuts cuts(text);
    const char* methods[] = {"GET", "HEAD", "CONNECT"};
    const std::size_t choice = text.empty() ? 0 : static_cast<unsigned char>(text.front()) % 6;
    if (!text.empty()) text.remove_prefix(1);

    h1::response_decoder decoder;
    decoder.begin(methods[choice % 3], choice >= 3);
    const auto whole = fuzz::decode(decoder, [&](auto take) { take(text); });
    const h1::response_head head = decoder.head();
    decoder.begin(methods[choice % 3], choice >= 3);
    const auto cut = fuzz::decode(decoder, [&](auto take) { cuts.feed(text, take); });
    fuzz::expect(whole == cut, "the outcome does not depend on the cuts");
    if (!whole.done || head.status < 200) return 0;

    std::string again;
    const auto body = decoder.body_framing() == h1::framing::none ? h1::body_length::none()
                                                                  : h1::body_length::exactly(0);
    h1::write_response_head(again, head.status, head.reason.empty() ? "-" : head.reason,
                            head.headers, body);
    // The encoder adds fields of its own, and spaces.
    const h1::limits bounds{.head_bytes = 256 * 1024, .fields = 256};
    h1::response_decoder reader(bounds);
    reader.begin("GET");
    const h1::step step = reader.next(again);
    fuzz::expect(step.what == h1::event::head && step.consumed == again.size(),
                 "a head that is written can be read");
    return 0;
}
