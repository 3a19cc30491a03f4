// SPDX-License-Identifier: MIT
// Frames by wslay, and the rules of messages.
#include "http/websocket/engine.hpp"

#include <rondo/http/error.hpp>

#include "http/charset.hpp"

#ifdef RONDO_WITH_WSLAY
#include <wslay/wslay.h>
#endif

#include <algorithm>
#include <cstring>
#include <new>

namespace rondo {
inline namespace v0 {
namespace http {
namespace ws {

bool may_be_sent(int code) noexcept {
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
           (code >= 3000 && code <= 4999);
}

#ifdef RONDO_WITH_WSLAY

namespace {

constexpr std::size_t frame_head_max = 14;
constexpr std::size_t empty_fragments_max = 1024;

bool is_control(unsigned opcode) noexcept { return wslay_is_ctrl_frame(opcode) != 0; }

}  // namespace

/// Functions that wslay calls. No exception passes through them: memory was reserved before.
struct frame_calls {
    static ssize_t receive(std::uint8_t* to, std::size_t size, int, void* self) noexcept {
        std::string_view& from = static_cast<engine*>(self)->unread_;
        const std::size_t taken = std::min(size, from.size());
        if (taken == 0) return -1;
        std::memcpy(to, from.data(), taken);
        from.remove_prefix(taken);
        return static_cast<ssize_t>(taken);
    }
    static ssize_t send(const std::uint8_t* bytes, std::size_t size, int, void* self) noexcept {
        static_cast<engine*>(self)->out.append(reinterpret_cast<const char*>(bytes), size);
        return static_cast<ssize_t>(size);
    }
    static int make_mask(std::uint8_t* to, std::size_t size, void* self) noexcept {
        const std::uint32_t mask = static_cast<engine*>(self)->mask_;
        if (size != sizeof mask) return -1;
        std::memcpy(to, &mask, size);
        return 0;
    }
};

void require_wslay() {}

engine::engine(const settings& given)
    : settings_(given),
      inflater_(given.deflate.receives_in_context),
      deflater_(given.deflate.sends_in_context, given.deflate.window_bits) {
    const wslay_frame_callbacks calls{frame_calls::send, frame_calls::receive,
                                      frame_calls::make_mask};
    if (wslay_frame_context_init(&frames_, &calls, this) != 0) throw std::bad_alloc();
}

engine::~engine() { wslay_frame_context_free(frames_); }

// -- receiving -----------------------------------------------------------------------------------
event engine::next(std::string_view& bytes) {
    unread_ = bytes;
    event found = event::need_more;
    while (found == event::need_more && !is_closed_ && !has_failed_) {
        wslay_frame_iocb frame{};
        const ssize_t got = wslay_frame_recv(frames_, &frame);
        if (got == WSLAY_ERR_WANT_READ) break;
        if (got < 0) {
            fail(code::protocol,
                 "a control frame is too long or fragmented, or a length is not the shortest");
            break;
        }
        if (frame_left_ == 0 && !begin_frame(frame)) break;
        const std::string_view piece(reinterpret_cast<const char*>(frame.data),
                                     frame.data_length);
        frame_left_ -= piece.size();
        if (is_control(opcode_)) {
            control_ += piece;
            if (frame_left_ == 0) found = end_control();
            continue;
        }
        if (!take_data(piece)) break;
        if (frame_left_ == 0 && is_final_ && end_message()) found = event::message;
    }
    bytes = unread_;
    if (has_failed_) return event::failed;
    return is_closed_ ? event::closed : found;
}

bool engine::begin_frame(const wslay_frame_iocb& frame) {
    frame_left_ = frame.payload_length;
    opcode_ = frame.opcode;
    is_final_ = frame.fin != 0;
    if ((frame.mask != 0) == settings_.is_client)
        return fail(code::protocol, settings_.is_client ? "a frame of the server is masked"
                                                        : "a frame of the client is not masked");
    const bool begins_message = opcode_ == WSLAY_TEXT_FRAME || opcode_ == WSLAY_BINARY_FRAME;
    const bool may_be_packed = begins_message && settings_.deflate.is_on;
    if ((frame.rsv & ~(may_be_packed ? WSLAY_RSV1_BIT : 0)) != 0)
        return fail(code::protocol, "a reserved bit is set");
    if (is_control(opcode_)) {
        control_.clear();
        return opcode_ <= WSLAY_PONG || fail(code::protocol, "an opcode is not known");
    }
    if (begins_message) {
        if (is_inside_) return fail(code::protocol, "a message begins inside of another one");
        is_inside_ = true;
        is_text_ = opcode_ == WSLAY_TEXT_FRAME;
        is_packed_ = frame.rsv != 0;
        message_raw_ = empty_fragments_ = 0;
        message_.clear();
        utf8_.clear();
    } else if (opcode_ != WSLAY_CONTINUATION_FRAME) {
        return fail(code::protocol, "an opcode is not known");
    } else if (!is_inside_) {
        return fail(code::protocol, "a fragment belongs to no message");
    }
    // Bytes that do not become shorter become a little longer.
    const std::uint64_t most =
        settings_.message_bytes + (is_packed_ ? settings_.message_bytes / 8 + 64 : 0);
    if (frame_left_ > most - message_raw_)
        return fail(code::too_long, "a message is longer than the limit");
    message_raw_ += frame_left_;
    if (frame_left_ == 0 && !is_final_ && ++empty_fragments_ > empty_fragments_max)
        return fail(code::protocol, "a message has too many fragments without a byte");
    return true;
}

bool engine::take_data(std::string_view piece) {
    const std::size_t before = message_.size();
    if (is_packed_)
        return accept(inflater_.add(piece, message_, settings_.message_bytes), before);
    message_ += piece;
    return accept(inflater::result::good, before);
}

bool engine::end_message() {
    const std::size_t before = message_.size();
    if (is_packed_ && !accept(inflater_.end(message_, settings_.message_bytes), before))
        return false;
    is_inside_ = false;
    return !is_text_ || utf8_.is_complete() || fail(code::not_utf8, "a text is no UTF-8");
}

/// Judges the bytes that were added to the message behind `before`, and how they came there: in the
/// order of the bytes, so that the fault which is named does not depend on how they were cut.
bool engine::accept(inflater::result done, std::size_t before) {
    if (is_text_ && !utf8_.add(std::string_view(message_).substr(before)))
        return fail(code::not_utf8, "a text is no UTF-8");
    if (done == inflater::result::too_long)
        return fail(code::too_long, "a message is longer than the limit, decompressed");
    if (done == inflater::result::broken)
        return fail(code::not_utf8, "a compressed message is malformed");
    return true;
}

event engine::end_control() {
    if (opcode_ == WSLAY_PING) pong_ = control_;
    if (opcode_ != WSLAY_CONNECTION_CLOSE) return event::need_more;
    return take_close();
}

event engine::take_close() {
    close_code_ = code::none;
    if (!control_.empty()) {
        const auto byte = [this](std::size_t at) {
            return static_cast<unsigned char>(control_[at]);
        };
        const int said = control_.size() < 2 ? 0 : byte(0) * 256 + byte(1);
        if (!may_be_sent(said)) {
            fail(code::protocol, "a close frame has a code that must not be sent");
            return event::failed;
        }
        close_reason_ = control_.substr(2);
        if (!is_utf8(close_reason_)) {
            close_reason_.clear();
            fail(code::not_utf8, "the reason of a close is no UTF-8");
            return event::failed;
        }
        close_code_ = said;
    }
    is_closed_ = true;
    message_ = std::string();
    return event::closed;
}

bool engine::fail(int code, const char* text) noexcept {
    has_failed_ = true;
    failed_code_ = code;
    failed_text_ = text;
    message_ = std::string();
    return false;
}

// -- sending -------------------------------------------------------------------------------------
void engine::add_frame(unsigned opcode, bool is_compressed, std::string_view payload) {
    out.reserve(out.size() + payload.size() + frame_head_max);
    if (settings_.is_client) mask_ = settings_.mask();
    wslay_frame_iocb frame{};
    frame.fin = 1;
    frame.rsv = is_compressed ? WSLAY_RSV1_BIT : WSLAY_RSV_NONE;
    frame.opcode = static_cast<std::uint8_t>(opcode);
    frame.payload_length = payload.size();
    frame.mask = settings_.is_client ? 1 : 0;
    frame.data = reinterpret_cast<const std::uint8_t*>(payload.data());
    frame.data_length = payload.size();
    do {
        const ssize_t sent = wslay_frame_send(frames_, &frame);
        if (sent < 0) throw http::error("wslay refused a frame");
        frame.data += sent;
        frame.data_length -= static_cast<std::size_t>(sent);
    } while (frame.data_length > 0);
}

void engine::add_message(bool is_text, std::string_view bytes) {
    const unsigned opcode = is_text ? WSLAY_TEXT_FRAME : WSLAY_BINARY_FRAME;
    if (!settings_.deflate.is_on || bytes.empty() || bytes.size() < settings_.compress_from)
        return add_frame(opcode, false, bytes);
    const std::string packed = deflater_.compressed(bytes);
    // With a common context the peer has to see it even if it is no shorter.
    if (packed.size() >= bytes.size() && !settings_.deflate.sends_in_context)
        return add_frame(opcode, false, bytes);
    try {
        add_frame(opcode, true, packed);
    } catch (...) {  // the peer never sees it
        deflater_.forget();
        throw;
    }
}

void engine::add_ping() { add_frame(WSLAY_PING, false, {}); }

void engine::add_pong() {
    if (!pong_) return;
    add_frame(WSLAY_PONG, false, *pong_);
    pong_.reset();
}

void engine::add_close(int code, std::string_view reason) {
    std::string payload;
    if (code != code::none) {
        payload += static_cast<char>(code / 256);
        payload += static_cast<char>(code % 256);
        payload += reason;
    }
    add_frame(WSLAY_CONNECTION_CLOSE, false, payload);
}

#else

void require_wslay() {
    throw http::error(
        "rondo was built without WebSocket: install libwslay-dev and build it again, without "
        "-Dwslay=disabled");
}

engine::engine(const settings& given)
    : inflater_(given.deflate.receives_in_context),
      deflater_(given.deflate.sends_in_context, given.deflate.window_bits) {
    require_wslay();
}
engine::~engine() = default;
event engine::next(std::string_view&) { return event::failed; }
void engine::add_message(bool, std::string_view) {}
void engine::add_ping() {}
void engine::add_pong() {}
void engine::add_close(int, std::string_view) {}

#endif

}  // namespace ws
}  // namespace http
}  // namespace v0
}  // namespace rondo
