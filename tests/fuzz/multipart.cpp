// SPDX-License-Identifier: MIT
// Multipart bodies: however they are cut, the parts are the same ones.
#include <string>

#include "fuzz/fuzz.hpp"
#include "http/multipart_parser.hpp"

namespace {

using rondo::http::multipart_parser;

template <class Feed>
std::string parts_of(Feed&& feed) {
    multipart_parser parser("multipart/form-data; boundary=b");
    std::string all;
    bool goes_on = true;
    feed([&](std::string_view bytes) {
        while (goes_on) {
            const auto step = parser.next(bytes);
            fuzz::expect(step.consumed <= bytes.size(), "it consumes what is there");
            bytes.remove_prefix(step.consumed);
            if (step.what == multipart_parser::event::need_more) break;
            if (step.what == multipart_parser::event::part)
                all += "\n[" + parser.name() + '|' + parser.file_name() + "]\n";
            all += step.body;
            goes_on = step.what == multipart_parser::event::part ||
                      step.what == multipart_parser::event::body;
        }
    });
    fuzz::expect(parser.finish() == parser.why().text.empty(), "it ends or says why");
    return all + parser.why().text;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string_view text = fuzz::text_of(data, size);
    const fuzz::cuts cuts(text);
    fuzz::expect(parts_of([&](auto take) { take(text); }) ==
                     parts_of([&](auto take) { cuts.feed(text, take); }),
                 "the parts do not depend on the cuts");
    return 0;
}
