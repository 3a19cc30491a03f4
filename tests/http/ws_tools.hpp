// SPDX-License-Identifier: MIT
// For tests of WebSocket: frames, byte by byte, and the events that an engine makes of them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "http/websocket/engine.hpp"

namespace ws_tools {

namespace ws = rondo::http::ws;

inline constexpr unsigned fin = 0x80, rsv1 = 0x40, rsv2 = 0x20;
inline constexpr unsigned text = 1, binary = 2, goodbye = 8, ping = 9, pong = 10;

/// A frame. `first` is its first byte. `masked` says who sends it: the client masks.
inline std::string frame(unsigned first, std::string_view payload, bool masked) {
    std::string all(1, static_cast<char>(first));
    const unsigned bit = masked ? 0x80 : 0;
    if (payload.size() < 126) {
        all += static_cast<char>(bit | payload.size());
    } else if (payload.size() < 65536) {
        all += static_cast<char>(bit | 126);
        all += static_cast<char>(payload.size() >> 8);
        all += static_cast<char>(payload.size());
    } else {
        all += static_cast<char>(bit | 127);
        for (int shift = 56; shift >= 0; shift -= 8)
            all += static_cast<char>(std::uint64_t{payload.size()} >> shift);
    }
    if (!masked) return all += payload;
    const std::string mask = "\x12\x34\x56\x78";
    all += mask;
    for (std::size_t i = 0; i < payload.size(); ++i)
        all += static_cast<char>(payload[i] ^ mask[i % 4]);
    return all;
}
inline std::string close_frame(int code, std::string_view reason, bool masked) {
    std::string payload;
    payload += static_cast<char>(code / 256);
    payload += static_cast<char>(code % 256);
    payload += reason;
    return frame(fin | goodbye, payload, masked);
}

inline std::uint32_t fixed_mask() { return 0x12345678; }

inline ws::settings settings_of(bool is_client, std::size_t limit = std::size_t{1} << 20) {
    ws::settings how;
    how.is_client = is_client;
    how.message_bytes = limit;
    how.mask = fixed_mask;
    return how;
}

/// The events of an engine as a text: `T:hello B:… C1000:bye`, `F1002 (why)`.
class listener {
public:
    explicit listener(const ws::settings& how) : engine(how) {}

    void take(std::string_view bytes) {
        while (!is_over_) {
            const ws::event found = engine.next(bytes);
            if (found == ws::event::need_more) break;
            if (found == ws::event::message) {
                said += engine.is_text() ? "T:" : "B:";
                said += engine.take_message() + ' ';
                continue;
            }
            is_over_ = true;
            if (found == ws::event::closed)
                said += 'C' + std::to_string(engine.close_code()) + ':' + engine.close_reason();
            else
                said += 'F' + std::to_string(engine.failed_code()) + " (" + engine.failed_text() +
                        ')';
        }
    }

    ws::engine engine;
    std::string said;

private:
    bool is_over_ = false;
};

}  // namespace ws_tools
