// SPDX-License-Identifier: MIT
// Frames of HTTP/2, into a server and into a client that has three requests open: however they are
// cut, the outcome is one, and nothing grows beyond its bound. Then with answers in between.
#include "fuzz/fuzz.hpp"
#include "http/h2_talk.hpp"

#ifdef RONDO_WITH_NGHTTP2

using namespace h2_talk;

namespace {

h2::options bounds() {
    h2::options how;
    how.stream_window = how.stream_window_max = 100'000;
    how.connection_window = 200'000;
    how.streams = 5;
    how.resets = 10;
    return how;
}

std::string outcome_of(side& of) {
    of.produce();
    std::string text = of.events + of.engine.why();
    std::size_t bytes = 0;
    for (const noted_stream& each : of.streams) {
        text += each.body + '|';
        bytes += each.unconsumed();
    }
    fuzz::expect(bytes <= 200'000, "the peer keeps to the windows");
    fuzz::expect(of.streams.size() < 10'000, "streams are bounded");
    return text;
}

void begin(side& client) {
    client.get();
    client.get({}, false, "HEAD");
    client.get({}, true, "POST");
    client.produce();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string_view text = fuzz::text_of(data, size);
    const fuzz::cuts cuts(text);
    const unsigned choice = text.empty() ? 0 : static_cast<unsigned char>(text.front());
    if (!text.empty()) text.remove_prefix(1);
    const auto which = (choice & 1) != 0 ? h2::role::client : h2::role::server;
    const bool is_client = which == h2::role::client;
    const std::string input = (is_client ? hello_server : hello_client) + std::string(text);

    side whole(which, bounds()), cut(which, bounds()), busy(which, bounds());
    for (side* const each : {&whole, &cut, &busy})
        if (is_client) begin(*each);
    whole.consumes = cut.consumes = false;
    whole.engine.receive(input);
    cuts.feed(input, [&](std::string_view piece) { cut.engine.receive(piece); });
    // After a GOAWAY, frames may come that do not matter; nghttp2 reads them to the end of a piece.
    const bool is_same = outcome_of(whole) == outcome_of(cut);
    fuzz::expect(is_same || whole.engine.has_goaway(), "the outcome does not depend on the cuts");

    busy.is_echo = !is_client;
    cuts.feed(input, [&](std::string_view piece) {
        busy.engine.receive(piece);
        std::string out;
        busy.engine.produce(out, 5'000);
        if ((choice & 2) != 0 && !busy.streams.empty() && busy.streams.front().received() > 3)
            busy.streams.pop_front();
    });
    outcome_of(busy);
    return 0;
}

#else

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t*, std::size_t) { return 0; }

#endif
