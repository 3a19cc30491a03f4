// SPDX-License-Identifier: MIT
// Bodies (RFC 9112, sections 6 and 7).
#include "http/h1/body.hpp"

#include <algorithm>
#include <limits>
#include <string>

#include "http/ascii.hpp"

namespace rondo {
inline namespace v0 {
namespace http {
namespace h1 {

namespace {

constexpr std::uint64_t bytes_max = std::numeric_limits<std::int64_t>::max();
constexpr int digits_max = 16;  // of 64 bits; zeros in front count

constexpr const char* bad_size = "a chunk does not begin with its size";
constexpr const char* bad_after_size = "after a chunk's size is something malformed";
constexpr const char* too_long = "a chunk is longer than its size says";

}  // namespace

void body_decoder::clear() noexcept {
    why_ = problem();
    lines_.clear();
    trailers_.clear();
    bytes_ = left_ = 0;
    excess_ = trailer_bytes_ = 0;
    digits_ = 0;
    kind_ = framing::none;
    state_ = state::size;
}

void body_decoder::begin(framing kind, std::int64_t length, const limits& bounds, bool may_fold) {
    clear();
    kind_ = kind;
    bounds_ = bounds;
    may_fold_ = may_fold;
    if (kind == framing::length) left_ = static_cast<std::uint64_t>(length);
}

step body_decoder::next(std::string_view bytes) {
    switch (kind_) {
        case framing::none:
            return {event::end, 0, {}};
        case framing::chunked:
            return next_chunked(bytes);
        case framing::length:
            if (left_ == 0) return {event::end, 0, {}};
            break;
        case framing::close:
            left_ = bytes_max - bytes_;
            if (left_ == 0) return refuse(fault::limit, 0, "its body is larger than any file");
            break;
    }
    if (bytes.empty()) return {};
    return take_data(bytes, 0);
}

step body_decoder::take_data(std::string_view bytes, std::size_t used) {
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(left_, bytes.size() - used));
    left_ -= size;
    bytes_ += size;
    if (left_ == 0 && kind_ == framing::chunked) state_ = state::data_cr;
    return {event::body, used + size, bytes.substr(used, size)};
}

step body_decoder::next_chunked(std::string_view bytes) {
    std::size_t used = 0;
    while (used < bytes.size()) {
        if (state_ == state::data) return take_data(bytes, used);
        if (state_ == state::trailers) return take_trailers(bytes, used);
        if (const char* error = take_framing_byte(bytes[used++])) {
            const bool is_limit = excess_ > bounds_.extension_bytes;
            return refuse(is_limit ? fault::limit : fault::protocol, used, error);
        }
    }
    return {event::need_more, used, {}};
}

const char* body_decoder::take_framing_byte(char c) {
    switch (state_) {
        case state::size:
            if (const int digit = ascii::hex_digit(c); digit >= 0) {
                left_ = left_ * 16 + static_cast<std::uint64_t>(digit);
                return ++digits_ > digits_max ? bad_size : nullptr;
            }
            if (digits_ == 0) return bad_size;
            state_ = state::after_size;
            return take_after_size(c);
        case state::after_size:
            return take_after_size(c);
        case state::extension:
            if (c == '\r') state_ = state::size_lf;
            if (c == '\r') return nullptr;
            return take_extension(c);
        case state::size_lf:
            return c == '\n' ? end_size_line() : bad_after_size;
        case state::data_cr:
            state_ = state::data_lf;
            return c == '\r' ? nullptr : too_long;
        default:  // data_lf
            state_ = state::size;
            return c == '\n' ? nullptr : too_long;
    }
}

const char* body_decoder::take_after_size(char c) {
    if (c == '\r')
        state_ = state::size_lf;
    else if (c == ' ' || c == '\t')  // servers pad the size
        return take_extension(c);
    else if (c == ';')
        state_ = state::extension;
    else
        return c == '\n' ? bare_line_feed : bad_after_size;
    return nullptr;
}

const char* body_decoder::take_extension(char c) {
    if (c == '\n') return bare_line_feed;
    if (ascii::is_control(c) && c != '\t') return "a control character follows a chunk's size";
    return ++excess_ > bounds_.extension_bytes ? "its chunk extensions are too long" : nullptr;
}

const char* body_decoder::end_size_line() {
    if (left_ > bytes_max - bytes_) return "its body is larger than any file";
    // Honest extensions are shorter than their chunks; a flood of them is not.
    excess_ -= static_cast<std::size_t>(std::min<std::uint64_t>(excess_, 16 + left_ * 2));
    digits_ = 0;
    state_ = left_ == 0 ? state::trailers : state::data;
    return nullptr;
}

step body_decoder::take_trailers(std::string_view bytes, std::size_t used) {
    for (;;) {
        const std::size_t room = bounds_.trailer_bytes - trailer_bytes_;
        const found_line line = lines_.take(bytes.substr(used, room));
        used += line.consumed;
        trailer_bytes_ += line.consumed;
        if (line.error != nullptr) return refuse(fault::protocol, used, line.error);
        if (!line.is_complete) {
            if (used == bytes.size()) return {event::need_more, used, {}};
            return refuse(fault::limit, used, "its trailers are too long");
        }
        if (line.text.empty()) break;
        if (trailers_.size() == bounds_.fields)
            return refuse(fault::limit, used, "it has too many trailer fields");
        if (const char* error = add_field_line(trailers_, line.text, may_fold_))
            return refuse(fault::protocol, used, error);
    }
    for (const char* name : {"content-length", "transfer-encoding"})
        if (trailers_.contains(name))
            return refuse(fault::protocol, used, "its trailers speak of another length");
    return {event::end, used, {}};
}

step body_decoder::refuse(fault kind, std::size_t used, const char* text) {
    why_ = problem{kind, 400, text};
    return {event::failed, used, {}};
}

std::string body_decoder::position() const {
    const std::string came = "after " + std::to_string(bytes_);
    if (kind_ == framing::length) return came + " of " + std::to_string(bytes_ + left_) + " bytes";
    const bool in_chunk = state_ == state::data && left_ > 0;
    return came + " bytes of a chunked body, " +
           (in_chunk ? std::to_string(left_) + " bytes before the end of a chunk"
                     : std::string("before its last chunk was complete"));
}

}  // namespace h1
}  // namespace http
}  // namespace v0
}  // namespace rondo
