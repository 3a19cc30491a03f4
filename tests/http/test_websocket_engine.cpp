// SPDX-License-Identifier: MIT
// The engine of WebSocket: the same messages however the bytes are cut, every broken rule with its
// code, bounded memory, and compression as two sides agree on it.
#include <new>
#include <string>
#include <string_view>
#include <vector>

#include "http/split_ways.hpp"
#include "http/websocket/handshake.hpp"
#include "http/websocket/sha1.hpp"
#include "http/ws_tools.hpp"
#include "support/catch.hpp"

using namespace ws_tools;

namespace {

/// The events of an engine of that role for `bytes`, cut in every way.
std::string ws_heard(bool is_client, std::string_view bytes, std::size_t limit = 1000) {
    return split_ways::same_every_way(bytes, [&](const split_ways::pieces& parts) {
        listener to(settings_of(is_client, limit));
        split_ways::feed(parts, [&](std::string_view piece) { to.take(piece); });
        return to.said;
    });
}

ws::settings compressing(bool is_client, bool in_context, int bits = 15) {
    ws::settings how = settings_of(is_client);
    how.compress_from = 1;
    how.deflate = {true, in_context, in_context, bits};
    return how;
}

std::string hex(std::string_view bytes) {
    std::string text;
    for (const char c : bytes) {
        text += "0123456789abcdef"[static_cast<unsigned char>(c) >> 4];
        text += "0123456789abcdef"[static_cast<unsigned char>(c) & 15];
    }
    return text;
}

}  // namespace

TEST_CASE("websocket engine: messages are taken however they are cut", "[websocket_engine]") {
    const auto client = [](unsigned first, std::string_view payload) {
        return frame(first, payload, true);
    };
    CHECK(ws_heard(false, client(fin | text, "hello") + client(fin | binary, "\x01\xff")) ==
          "T:hello B:\x01\xff ");
    CHECK(ws_heard(false, client(fin | text, "")) == "T: ");
    CHECK(ws_heard(false, client(text, "he") + client(0, "") + client(fin | ping, "?") +
                              client(0, "ll") + client(fin, "o")) == "T:hello ");
    // A character that two fragments share.
    CHECK(ws_heard(false, client(text, "\xe2\x82") + client(fin, "\xac")) == "T:\xe2\x82\xac ");
    CHECK(ws_heard(true, frame(fin | text, "hi", false) + close_frame(1000, "bye", false)) ==
          "T:hi C1000:bye");
    CHECK(ws_heard(true, frame(fin | goodbye, "", false) + frame(fin | text, "x", false)) ==
          "C1005:");
    CHECK(ws_heard(false, close_frame(4999, "", true)) == "C4999:");
    for (const std::size_t size : {125U, 126U, 127U, 999U}) {
        const std::string long_text(size, 'x');
        CHECK(ws_heard(true, frame(fin | text, long_text, false)) == "T:" + long_text + " ");
    }
    listener to(settings_of(true));
    const std::string large(70000, 'y');
    to.take(frame(fin | binary, large, false));
    CHECK(to.said == "B:" + large + " ");
}

TEST_CASE("websocket engine: a broken rule has its code and a sentence", "[websocket_engine]") {
    struct row {
        std::string bytes;
        int code;
        const char* why;
    };
    const auto client = [](unsigned first, std::string_view payload) {
        return frame(first, payload, true);
    };
    const char* malformed =
        "a control frame is too long or fragmented, or a length is not the shortest";
    const std::vector<row> rows = {
        {frame(fin | text, "hi", false), 1002, "a frame of the client is not masked"},
        {client(fin | rsv1 | text, "hi"), 1002, "a reserved bit is set"},
        {client(fin | rsv2 | text, "hi"), 1002, "a reserved bit is set"},
        {client(fin | rsv1 | ping, ""), 1002, "a reserved bit is set"},
        {client(fin | 3, "x"), 1002, "an opcode is not known"},
        {client(fin | 7, ""), 1002, "an opcode is not known"},
        {client(fin | 11, "x"), 1002, "an opcode is not known"},
        {client(fin | 15, ""), 1002, "an opcode is not known"},
        {client(ping, "x"), 1002, malformed},
        {client(fin | ping, std::string(126, 'x')), 1002, malformed},
        {client(goodbye, ""), 1002, malformed},
        {std::string("\x81\xfe\x00\x05", 4) + "abcdefghi", 1002, malformed},
        {std::string("\x81\xff\0\0\0\0\0\0\xff\xff", 10) + "abcdefghi", 1002, malformed},
        {std::string("\x81\xff\x80\0\0\0\0\0\0\0", 10) + "abcdefghi", 1002, malformed},
        {client(fin, "x"), 1002, "a fragment belongs to no message"},
        {client(text, "a") + client(fin | text, "b"), 1002,
         "a message begins inside of another one"},
        {client(text, "a") + client(fin, "b") + client(fin, "c"), 1002,
         "a fragment belongs to no message"},
        {client(fin | goodbye, "x"), 1002, "a close frame has a code that must not be sent"},
        {close_frame(999, "", true), 1002, "a close frame has a code that must not be sent"},
        {close_frame(1004, "", true), 1002, "a close frame has a code that must not be sent"},
        {close_frame(1005, "", true), 1002, "a close frame has a code that must not be sent"},
        {close_frame(1006, "", true), 1002, "a close frame has a code that must not be sent"},
        {close_frame(1015, "", true), 1002, "a close frame has a code that must not be sent"},
        {close_frame(2999, "", true), 1002, "a close frame has a code that must not be sent"},
        {close_frame(5000, "", true), 1002, "a close frame has a code that must not be sent"},
        {close_frame(1000, "\xff", true), 1007, "the reason of a close is no UTF-8"},
        {client(fin | text, "\xff"), 1007, "a text is no UTF-8"},
        {client(fin | text, "a\xc0\xaf"), 1007, "a text is no UTF-8"},
        {client(fin | text, "\xed\xa0\x80"), 1007, "a text is no UTF-8"},
        {client(fin | text, "\xf4\x90\x80\x80"), 1007, "a text is no UTF-8"},
        {client(fin | text, "\xe2\x82"), 1007, "a text is no UTF-8"},
        {client(text, "\xe2\x82") + client(fin, "x"), 1007, "a text is no UTF-8"},
        {client(fin | text, std::string(101, 'x')), 1009, "a message is longer than the limit"},
        {client(text, std::string(100, 'x')) + client(fin, "x"), 1009,
         "a message is longer than the limit"},
        // A length of 2^62 is refused when its first byte comes.
        {std::string("\x82\xff\x40\0\0\0\0\0\0\0mask.", 15), 1009,
         "a message is longer than the limit"},
    };
    for (const row& each : rows) {
        INFO(hex(each.bytes.substr(0, 20)));
        CHECK_THAT(ws_heard(false, each.bytes, 100),
                   Catch::EndsWith("F" + std::to_string(each.code) + " (" + each.why + ")"));
    }
    CHECK(ws_heard(true, frame(fin | text, "hi", true)) ==
          "F1002 (a frame of the server is masked)");
    // Nothing is taken after the end.
    listener to(settings_of(false));
    to.take(close_frame(1000, "", true));
    std::string_view more = "more";
    CHECK(to.engine.next(more) == ws::event::closed);
    CHECK(more == "more");
}

TEST_CASE("websocket engine: a message in fragments for ever is bounded", "[websocket_engine]") {
    listener empty(settings_of(false, 100));
    empty.take(frame(text, "", true));
    for (int i = 0; i < 2000; ++i) empty.take(frame(0, "", true));
    CHECK(empty.said == "F1002 (a message has too many fragments without a byte)");

    listener short_ones(settings_of(false, 100));
    short_ones.take(frame(text, "x", true));
    for (int i = 0; i < 200; ++i) short_ones.take(frame(0, "x", true));
    CHECK(short_ones.said == "F1009 (a message is longer than the limit)");

    // A million pings are owed one pong: the last.
    listener pinged(settings_of(false));
    for (int i = 0; i < 1000; ++i) pinged.take(frame(fin | ping, std::to_string(i), true));
    pinged.engine.add_pong();
    CHECK(pinged.engine.out == frame(fin | pong, "999", false));
    CHECK_FALSE(pinged.engine.owes_pong());
}

TEST_CASE("websocket engine: what one side sends the other takes", "[websocket_engine]") {
    for (const bool is_client : {false, true}) {
        for (const std::size_t size : {0U, 1U, 125U, 126U, 65535U, 65536U, 200000U}) {
            ws::engine from(settings_of(is_client));
            const std::string message(size, 'z');
            from.add_ping();
            from.add_message(true, message);
            from.add_message(false, message);
            from.add_close(1001, "gone");
            CHECK((from.out.find("zzzzzzzzzz") == std::string::npos) == (is_client || size < 10));
            listener to(settings_of(!is_client));
            to.take(from.out);
            CHECK(to.said == "T:" + message + " B:" + message + " C1001:gone");
        }
    }
    ws::engine from(settings_of(false));
    from.add_close(1005, "dropped");
    CHECK(from.out == std::string("\x88\0", 2));
}

#ifdef RONDO_WITH_ZLIB

TEST_CASE("websocket engine: compressed messages, with a common context and without one",
          "[websocket_engine]") {
    const std::string message = "{\"kind\": \"greeting\", \"text\": \"hello, hello, hello\"}";
    for (const bool in_context : {false, true}) {
        ws::engine from(compressing(true, in_context));
        std::vector<std::size_t> sizes;
        std::string all;
        for (int i = 0; i < 3; ++i) {
            from.add_message(true, message);
            sizes.push_back(from.out.size());
            all += std::exchange(from.out, {});
        }
        CHECK(sizes[0] < message.size() + 6);
        CHECK((sizes[1] < 20) == in_context);  // most of it was said before
        const std::string said = split_ways::same_every_way(
            all, [&](const split_ways::pieces& parts) {
                listener to(compressing(false, in_context));
                split_ways::feed(parts, [&](std::string_view piece) { to.take(piece); });
                return to.said;
            });
        CHECK(said == "T:" + message + " T:" + message + " T:" + message + " ");
    }
    // RFC 7692, section 7.2.3: "Hello", its fragments, and with the last block marked.
    const auto packed = [](std::string_view all) {
        listener to(compressing(true, true));
        to.take(all);
        return to.said;
    };
    CHECK(packed(std::string_view("\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00"
                                  "\xc1\x05\xf2\x00\x11\x00\x00",
                                  16)) == "T:Hello T:Hello ");
    CHECK(packed(std::string_view("\x41\x03\xf2\x48\xcd\x80\x04\xc9\xc9\x07\x00", 11)) ==
          "T:Hello ");
    CHECK(packed(std::string_view("\xc1\x08\xf3\x48\xcd\xc9\xc9\x07\x00\x00", 10)) == "T:Hello ");
    CHECK(packed(std::string_view("\xc1\x0b\x00\x05\x00\xfa\xffHello\x00", 13)) == "T:Hello ");
    CHECK(packed(std::string_view("\xc1\x01\x00", 3)) == "T: ");
    // A message that would not become shorter goes as it is.
    ws::engine plain(compressing(false, false));
    plain.add_message(false, "\x01\x02");
    CHECK(plain.out == "\x82\x02\x01\x02");
}

TEST_CASE("websocket engine: without a common context nothing is held between messages",
          "[websocket_engine]") {
    std::string message;
    for (int i = 0; i < 3000; ++i) message += std::to_string(i * 7919 % 10007);
    for (const int bits : {9, 12, 15}) {
        ws::deflater from(false, bits);
        ws::inflater to(false);
        std::vector<std::string> packed;
        for (int i = 0; i < 3; ++i) {
            packed.push_back(from.compressed(message));
            CHECK_FALSE(from.holds_memory());
            std::string came;
            CHECK(to.add(packed.back(), came, 100000) == ws::inflater::result::good);
            CHECK(to.end(came, 100000) == ws::inflater::result::good);
            CHECK_FALSE(to.holds_memory());
            CHECK(came == message);
        }
        CHECK(packed[0] == packed[1]);
        CHECK(packed[1] == packed[2]);
    }
    ws::deflater in_context(true, 12);
    in_context.compressed(message);
    CHECK(in_context.holds_memory());
}

TEST_CASE("websocket engine: later messages do not refer to one for which memory lacked",
          "[websocket_engine]") {
    static int masks_left = 1;
    ws::settings how = compressing(true, true);
    how.mask = []() -> std::uint32_t {
        if (masks_left-- == 0) throw std::bad_alloc();
        return 0x12345678;
    };
    ws::engine from(how);
    const std::string lost = "one that is never sent: " + std::string(500, 'n') + "0123456789";
    from.add_message(true, "first");
    CHECK_THROWS_AS(from.add_message(true, lost), std::bad_alloc);
    from.add_message(true, lost + "!");
    from.add_message(true, "last");
    listener to(compressing(false, true));
    to.take(from.out);
    CHECK(to.said == "T:first T:" + lost + "! T:last ");
}

TEST_CASE("websocket engine: compressed messages that are hostile", "[websocket_engine]") {
    const std::size_t limit = 100000;
    // 100 MB of zeros are 100 KB; the engine stops at its limit.
    ws::settings sender = compressing(true, false);
    ws::engine bomb(sender);
    bomb.add_message(true, std::string(10'000'000, ' '));
    REQUIRE(bomb.out.size() < 20000);
    ws::settings receiver = compressing(false, false);
    receiver.message_bytes = limit;
    listener to(receiver);
    to.take(bomb.out);
    CHECK(to.said == "F1009 (a message is longer than the limit, decompressed)");
    // A message of the limit exactly is taken.
    ws::engine exact(sender);
    exact.add_message(true, std::string(limit, ' '));
    listener taker(receiver);
    taker.take(exact.out);
    CHECK(taker.said.size() == limit + 3);

    const auto packed = [&](std::string_view payload, unsigned first = fin | rsv1 | text) {
        listener hearer(receiver);
        hearer.take(frame(first, payload, true));
        return hearer.said;
    };
    CHECK(packed("\xff\xff\xff") == "F1007 (a compressed message is malformed)");
    CHECK(packed("\xf2\x48", fin | rsv1) == "F1002 (a reserved bit is set)");
    CHECK(packed("\xf2\x48", fin | rsv1 | rsv2 | text) == "F1002 (a reserved bit is set)");
    CHECK(packed("", fin | rsv1 | ping) == "F1002 (a reserved bit is set)");
    ws::engine not_text(sender);
    not_text.add_message(false, std::string(300, '\xff'));
    std::string as_text = not_text.out;
    as_text[0] = static_cast<char>(fin | rsv1 | text);
    listener hearer(receiver);
    hearer.take(as_text);
    CHECK(hearer.said == "F1007 (a text is no UTF-8)");
    // Blocks that are empty, for ever: the bytes as they are sent are bounded too.
    listener endless(receiver);
    endless.take(frame(rsv1 | text, std::string("\0\0\0\xff\xff", 5), true));
    std::string blocks;
    for (int i = 0; i < 1000; ++i) blocks += std::string("\0\0\0\xff\xff", 5);
    for (int i = 0; i < 100; ++i) endless.take(frame(0, blocks, true));
    CHECK(endless.said == "F1009 (a message is longer than the limit)");
}

TEST_CASE("websocket engine: of two faults the first in the order of the bytes is named",
          "[websocket_engine]") {
    ws::settings receiver = compressing(false, false);
    receiver.message_bytes = 6;
    const auto stored = [](std::string_view bytes) {  // a block of deflate as it is
        const auto size = static_cast<char>(bytes.size());
        return std::string{'\0', size, '\0', static_cast<char>(~size), '\xff'} +
               std::string(bytes);
    };
    const auto said = [&](const std::string& packed) {
        const std::string bytes = frame(fin | rsv1 | text, packed, true);
        return split_ways::same_every_way(bytes, [&](const split_ways::pieces& parts) {
            listener to(receiver);
            split_ways::feed(parts, [&](std::string_view piece) { to.take(piece); });
            return to.said;
        });
    };
    const std::string malformed = "\x07";
    CHECK(said(stored("a\xff") + malformed) == "F1007 (a text is no UTF-8)");
    CHECK(said(stored("a") + malformed) == "F1007 (a compressed message is malformed)");
    CHECK(said(stored("a\xff and more")) == "F1007 (a text is no UTF-8)");
    CHECK(said(stored("and more\xff")) ==
          "F1009 (a message is longer than the limit, decompressed)");
}

TEST_CASE("websocket: the negotiation of compression", "[websocket_engine]") {
    const auto answer_to = [](std::string_view offers, bool in_context = true) {
        std::string answer;
        const ws::deflate_terms terms = ws::take_offer(offers, in_context, answer);
        CHECK(terms.is_on == !answer.empty());
        return answer;
    };
    CHECK(answer_to("permessage-deflate") == "permessage-deflate");
    CHECK(answer_to("permessage-deflate; client_max_window_bits") == "permessage-deflate");
    CHECK(answer_to("permessage-deflate; client_max_window_bits=10") == "permessage-deflate");
    CHECK(answer_to("permessage-deflate", false) ==
          "permessage-deflate; server_no_context_takeover; client_no_context_takeover");
    CHECK(answer_to("permessage-deflate; server_no_context_takeover") ==
          "permessage-deflate; server_no_context_takeover");
    CHECK(answer_to("permessage-deflate; server_max_window_bits=10") ==
          "permessage-deflate; server_max_window_bits=10");
    CHECK(answer_to("permessage-deflate; server_max_window_bits=\"9\"") ==
          "permessage-deflate; server_max_window_bits=9");
    CHECK(answer_to("permessage-deflate; server_max_window_bits=8, permessage-deflate") ==
          "permessage-deflate");
    CHECK(answer_to("x-webkit-deflate-frame, permessage-deflate; a, permessage-deflate") ==
          "permessage-deflate");
    for (const char* refused :
         {"", "other", "permessage-deflate; server_max_window_bits=16",
          "permessage-deflate; server_max_window_bits", "permessage-deflate; unknown=1",
          "permessage-deflate; server_no_context_takeover=1",
          "permessage-deflate; client_max_window_bits=7",
          "permessage-deflate; client_max_window_bits=015",
          "permessage-deflate; server_no_context_takeover; server_no_context_takeover"})
        CHECK(answer_to(refused).empty());

    CHECK(ws::read_answer("permessage-deflate", true)->receives_in_context);
    CHECK(ws::read_answer("permessage-deflate; server_max_window_bits=8", true));
    CHECK_FALSE(ws::read_answer("permessage-deflate; client_no_context_takeover", true)
                    ->sends_in_context);
    for (const char* refused :
         {"", "other", "permessage-deflate, permessage-deflate", "permessage-deflate; x",
          "permessage-deflate; client_max_window_bits=15"})
        CHECK_FALSE(ws::read_answer(refused, true));
    // A window of 512 bytes is kept to.
    ws::engine from(compressing(false, true, 9));
    std::string far;
    for (int i = 0; i < 2000; ++i) far += std::to_string(i * 7919 % 10007);
    from.add_message(true, far + far);
    listener to(compressing(true, true));
    to.take(from.out);
    CHECK(to.said == "T:" + far + far + " ");
}

#endif

TEST_CASE("websocket: the key of the opening", "[websocket_engine]") {
    CHECK(hex(ws::sha1("abc")) ==
          "a9993e364706816aba3e25717850c26c9cd0d89d");
    CHECK(hex(ws::sha1("")) == "da39a3ee5e6b4b0d3255bfef95601890afd80709");
    CHECK(hex(ws::sha1(std::string(1000, 'a'))) == "291e9a6c66994949b57ba5e650361e98fc36b1ba");
    CHECK(ws::accept_key("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    CHECK(ws::random_key().size() == 24);
    CHECK(ws::random_key() != ws::random_key());
}
