// SPDX-License-Identifier: MIT
// Server-sent events, dates and forms: however they are cut, the events are the same ones.
#include <string>

#include <rondo/http/date.hpp>
#include <rondo/http/form.hpp>

#include "fuzz/fuzz.hpp"
#include "http/event_parser.hpp"
#include "http/set_cookie.hpp"

namespace {

template <class Feed>
std::string events_of(Feed&& feed) {
    rondo::http::event_parser parser(1000);
    std::string all;
    bool is_over = false;
    feed([&](std::string_view bytes) {
        while (!is_over) {
            const auto step = parser.next(bytes);
            bytes.remove_prefix(step.consumed);
            is_over = step.is_too_long;
            if (!step.has_event) break;
            const rondo::http::server_event& event = parser.event();
            fuzz::expect(event.type.find_first_of("\r\n") == std::string::npos, "a type is a line");
            all += event.type + '\n' + event.data + '\n' + event.id + '\n';
        }
    });
    return all + (is_over ? "!" : "");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string_view text = fuzz::text_of(data, size);
    const fuzz::cuts cuts(text);
    fuzz::expect(events_of([&](auto take) { take(text); }) ==
                     events_of([&](auto take) { cuts.feed(text, take); }),
                 "the events do not depend on the cuts");
    if (const auto when = rondo::http::parse_http_date(text))
        fuzz::expect(rondo::http::parse_http_date(rondo::http::http_date(*when)) == when,
                     "a date is read as it is written");
    (void)rondo::http::parse_cookie_date(text);
    const rondo::http::form read(text);
    const std::string written = read.text();
    fuzz::expect(rondo::http::form(written).text() == written, "a form is a fixed point");
    return 0;
}
