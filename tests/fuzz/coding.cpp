// SPDX-License-Identifier: MIT
// Coded bodies: however they are cut, the outcome is one, and it is bounded.
#include <string>
#include <vector>

#include "fuzz/fuzz.hpp"
#include "http/coding.hpp"

namespace {

struct outcome {
    std::string plain;
    bool has_failed = false;
};

template <class Feed>
outcome decode(const char* codings, std::size_t room, Feed&& feed) {
    rondo::http::coding_limits bounds;
    bounds.bytes = 1'000'000;
    bounds.ratio_from = 300'000;
    rondo::http::content_decoder decoder(codings, bounds);
    outcome result;
    std::vector<char> out(room);
    feed([&](std::string_view bytes) {
        for (;;) {
            const auto step = decoder.decode(bytes, out.data(), room);
            if (step.has_failed) return;
            fuzz::expect(step.produced <= room && step.consumed <= bytes.size(), "it is in bounds");
            result.plain.append(out.data(), step.produced);
            bytes.remove_prefix(step.consumed);
            if (step.produced == room) continue;
            fuzz::expect(bytes.empty(), "input is left only for want of room");
            return;
        }
    });
    result.has_failed = decoder.has_failed() || !decoder.finish();
    fuzz::expect(result.plain.size() <= bounds.bytes, "the output is bounded");
    if (result.has_failed) result.plain.clear();
    return result;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const char* const codings[] = {"gzip", "deflate",  "br",
                                          "zstd", "gzip, br", "zstd, deflate"};
    std::string_view text = fuzz::text_of(data, size);
    const fuzz::cuts cuts(text);
    if (text.empty()) return 0;
    const char* coding = codings[static_cast<unsigned char>(text.front()) % 6];
    text.remove_prefix(1);
    const outcome whole = decode(coding, 65536, [&](auto take) { take(text); });
    const outcome cut = decode(coding, 777, [&](auto take) { cuts.feed(text, take); });
    // The ratio counts the bytes that have come, so a bomb may be found earlier when cut.
    if (cut.has_failed) return 0;
    fuzz::expect(!whole.has_failed, "the whole is taken if its pieces are");
    fuzz::expect(whole.plain == cut.plain, "the text does not depend on the cuts");
    return 0;
}
