// SPDX-License-Identifier: MIT
// The frames of a WebSocket, without a socket, a clock or a coroutine: bytes in, events out, and
// bytes to send. wslay takes the frames apart and puts them together; the rules of messages, the
// limits, compression and the close are here.
//
//     for (;;) {
//         const ws::event found = engine.next(bytes);     // takes from the front of `bytes`
//         …                                               // need_more: read
//     }
//     send(engine.out)                                    // what has to go to the peer
//
// A fault of the peer is a value, never an exception.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <rondo/config.hpp>

#include "http/websocket/deflate.hpp"
#include "http/websocket/utf8.hpp"

struct wslay_frame_context;
struct wslay_frame_iocb;

namespace rondo {
inline namespace v0 {
namespace http {
namespace ws {

/// Codes of RFC 6455, section 7.4.1.
namespace code {
inline constexpr int normal = 1000, going_away = 1001, protocol = 1002, none = 1005, lost = 1006,
                     not_utf8 = 1007, too_long = 1009, internal = 1011;
}

/// Throws: http::error if rondo was built without wslay.
void require_wslay();

/// True for a code that may stand in a close frame.
bool may_be_sent(int code) noexcept;

struct settings {
    bool is_client = false;
    std::size_t message_bytes = std::size_t{16} * 1024 * 1024;
    std::size_t compress_from = 256;
    deflate_terms deflate;
    /// A new mask for each frame of a client: it must not be guessed.
    std::uint32_t (*mask)() = nullptr;
};

enum class event : std::uint8_t {
    need_more,  // all bytes were taken
    message,    // take_message()
    closed,     // the peer's close frame: close_code(), close_reason(). Nothing follows.
    failed,     // the peer broke a rule: failed_code(), failed_text(). Nothing follows.
};

class engine {
public:
    /// Throws: std::bad_alloc; as require_wslay().
    explicit engine(const settings& given);
    engine(const engine&) = delete;
    engine& operator=(const engine&) = delete;
    ~engine();

    /// Takes some of `bytes`, up to the next event. After `closed` and `failed` it takes nothing
    /// and gives them again.
    /// Throws: std::bad_alloc.
    event next(std::string_view& bytes);

    bool is_text() const noexcept { return is_text_; }
    std::string take_message() noexcept { return std::exchange(message_, {}); }

    int close_code() const noexcept { return close_code_; }
    const std::string& close_reason() const noexcept { return close_reason_; }
    int failed_code() const noexcept { return failed_code_; }
    const char* failed_text() const noexcept { return failed_text_; }

    // -- to send ---------------------------------------------------------------------------------
    std::string out;
    /// Appends a frame. Throws: std::bad_alloc.
    void add_message(bool is_text, std::string_view bytes);
    void add_ping();
    /// A close frame; without a code if it is 1005.
    void add_close(int code, std::string_view reason);
    /// Appends the answer to the last ping, if one is due. A peer that sends many and reads none
    /// gets one answer: RFC 6455, section 5.5.3.
    void add_pong();
    bool owes_pong() const noexcept { return pong_.has_value(); }

    bool is_compressing() const noexcept { return settings_.deflate.is_on; }

private:
    friend struct frame_calls;
    bool begin_frame(const wslay_frame_iocb& frame);
    bool take_data(std::string_view piece);
    bool end_message();
    bool accept(inflater::result done, std::size_t before);
    event end_control();
    event take_close();
    bool fail(int code, const char* text) noexcept;
    void add_frame(unsigned opcode, bool is_compressed, std::string_view payload);

    settings settings_;
    wslay_frame_context* frames_ = nullptr;
    std::string_view unread_;  // while next() runs
    std::uint32_t mask_ = 0;   // of the frame that is being made
    inflater inflater_;
    deflater deflater_;
    utf8_checker utf8_;
    std::string message_;
    std::string control_;
    std::optional<std::string> pong_;
    std::string close_reason_;
    const char* failed_text_ = "";
    std::uint64_t frame_left_ = 0;     // bytes of the frame that are to come
    std::uint64_t message_raw_ = 0;    // bytes of the message as they were sent
    std::size_t empty_fragments_ = 0;  // of the message
    int close_code_ = 0;
    int failed_code_ = 0;
    std::uint8_t opcode_ = 0;  // of the frame
    bool is_final_ = false;    // the frame
    bool is_inside_ = false;   // a message has begun and not ended
    bool is_text_ = false;     // the message
    bool is_packed_ = false;   // the message is compressed
    bool is_closed_ = false;
    bool has_failed_ = false;
};

}  // namespace ws
}  // namespace http
}  // namespace v0
}  // namespace rondo
