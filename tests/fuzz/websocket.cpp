// SPDX-License-Identifier: MIT
// Frames of WebSocket, to a client and to a server, with compression and without: the same messages
// however the bytes are cut, and none beyond the limit. And the negotiation of compression.
#include <string>

#include "fuzz/fuzz.hpp"
#include "http/charset.hpp"
#include "http/ws_tools.hpp"

namespace {

constexpr std::size_t limit = 5000;

template <class Feed>
std::string heard(const ws_tools::ws::settings& how, Feed&& feed) {
    ws_tools::listener to(how);
    feed([&](std::string_view bytes) { to.take(bytes); });
    to.engine.add_pong();
    fuzz::expect(to.engine.out.size() <= 131, "one pong is owed at most");
    return to.said + to.engine.out;
}

void check_offer(std::string_view text) {
    std::string answer;
    const auto terms = rondo::http::ws::take_offer(text, true, answer);
    fuzz::expect(terms.is_on == !answer.empty(), "an offer that is taken is answered");
    if (terms.is_on)
        fuzz::expect(rondo::http::ws::read_answer(answer, true).has_value(),
                     "our own answer can be read");
    (void)rondo::http::ws::read_answer(text, true);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string_view text = fuzz::text_of(data, size);
    if (text.empty()) return 0;
    const unsigned kind = static_cast<unsigned char>(text.front());
    text.remove_prefix(1);
    if (kind % 8 == 7) {
        check_offer(text);
        return 0;
    }
    ws_tools::ws::settings how = ws_tools::settings_of((kind & 1) != 0, limit);
    if ((kind & 2) != 0) how.deflate = {true, (kind & 4) != 0, (kind & 4) != 0, 15};
    const fuzz::cuts cuts(text);
    const std::string whole = heard(how, [&](auto take) { take(text); });
    fuzz::expect(whole == heard(how, [&](auto take) { cuts.feed(text, take); }),
                 "the messages do not depend on the cuts");
    // Each side takes the messages that the other sends.
    ws_tools::ws::settings other = how;
    other.is_client = !how.is_client;
    other.compress_from = 1;
    ws_tools::ws::engine from(other);
    const std::string_view message = text.substr(0, limit);
    from.add_message(rondo::http::is_utf8(message), message);
    from.add_message(false, message);
    ws_tools::listener to(how);
    to.take(from.out);
    const std::string kind_of_it = rondo::http::is_utf8(message) ? "T:" : "B:";
    fuzz::expect(to.said == kind_of_it + std::string(message) + " B:" + std::string(message) + ' ',
                 "what one side sends the other takes");
    return 0;
}
