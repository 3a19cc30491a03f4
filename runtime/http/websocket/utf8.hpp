// SPDX-License-Identifier: MIT
// The check for UTF-8 of a text that comes in pieces, which may split a character.
#pragma once

#include <cstdint>
#include <string_view>

#include <rondo/config.hpp>

namespace rondo {
inline namespace v0 {
namespace http {
namespace ws {

class utf8_checker {
public:
    /// Returns: false as soon as the text so far cannot be the beginning of UTF-8.
    bool add(std::string_view bytes) noexcept {
        for (const char c : bytes) {
            const auto byte = static_cast<unsigned char>(c);
            if (left_ == 0 && byte < 0x80) continue;
            if (!(left_ == 0 ? begin(byte) : go_on(byte))) return false;
        }
        return true;
    }
    /// True if the text does not end inside a character.
    bool is_complete() const noexcept { return left_ == 0; }
    void clear() noexcept { left_ = 0; }

private:
    // The second byte decides about overlong forms, surrogates and code points over U+10FFFF.
    bool begin(unsigned char byte) noexcept {
        least_ = 0x80;
        most_ = 0xbf;
        if (byte >= 0xc2 && byte <= 0xdf) {
            left_ = 1;
        } else if (byte >= 0xe0 && byte <= 0xef) {
            left_ = 2;
            if (byte == 0xe0) least_ = 0xa0;
            if (byte == 0xed) most_ = 0x9f;
        } else if (byte >= 0xf0 && byte <= 0xf4) {
            left_ = 3;
            if (byte == 0xf0) least_ = 0x90;
            if (byte == 0xf4) most_ = 0x8f;
        } else {
            return false;
        }
        return true;
    }
    bool go_on(unsigned char byte) noexcept {
        if (byte < least_ || byte > most_) return false;
        least_ = 0x80;
        most_ = 0xbf;
        --left_;
        return true;
    }

    std::uint8_t left_ = 0;  // bytes of the character that are to come
    unsigned char least_ = 0;
    unsigned char most_ = 0;
};

}  // namespace ws
}  // namespace http
}  // namespace v0
}  // namespace rondo
