// SPDX-License-Identifier: MIT
// Heads of messages, and the framing that they state (RFC 9112, sections 2 to 6).
#include "http/h1/decoder.hpp"

#include <algorithm>
#include <charconv>

#include "http/ascii.hpp"

namespace rondo {
inline namespace v0 {
namespace http {
namespace h1 {

void raise(const problem& what, std::string_view method, std::string_view url,
           std::uint64_t body_bytes) {
    if (what.kind == fault::limit) throw limit_error(what.text, method, url);
    if (what.kind == fault::body) throw body_error(what.text, method, url, body_bytes);
    throw protocol_error(what.text, method, url);
}

void decoder::restart() {
    why_ = problem();
    lines_.clear();
    body_.clear();
    head_bytes_ = 0;
    content_length_ = -1;
    has_coding_ = persistent_ = false;
    state_ = state::start;
}

bool decoder::refuse(fault kind, int status, const std::string& text) {
    why_ = problem{kind, status, std::string("the ") + subject() + " is refused: " + text};
    state_ = state::failed;
    persistent_ = false;
    return false;
}

step decoder::next(std::string_view bytes) {
    switch (state_) {
        case state::start:
        case state::headers:
            return take_head(bytes);
        case state::body:
            return take_body(bytes);
        case state::ended:
            return {event::end, 0, {}};
        case state::failed:
            break;
    }
    return {event::failed, 0, {}};
}

step decoder::take_head(std::string_view bytes) {
    std::size_t used = 0;
    event found = event::need_more;
    while (found == event::need_more) {
        const found_line line = lines_.take(bytes.substr(used, bounds_.head_bytes - head_bytes_));
        used += line.consumed;
        head_bytes_ += line.consumed;
        if (line.error != nullptr) {
            refuse(fault::protocol, 400, line.error);
            return {event::failed, used, {}};
        }
        if (!line.is_complete) {
            if (state_ == state::start && !check_start(lines_.kept()))
                return {event::failed, used, {}};
            if (used == bytes.size()) return {event::need_more, used, {}};
            refuse(fault::limit, 431,
                   "its head is longer than " + std::to_string(bounds_.head_bytes) + " bytes");
            return {event::failed, used, {}};
        }
        found = take_line(line.text);
    }
    return {found, used, {}};
}

/// Returns: need_more if the head goes on.
event decoder::take_line(std::string_view line) {
    if (state_ == state::start) {
        if (line.empty() && may_begin_with_blank()) return event::need_more;
        headers().clear();
        if (!check_start(line) || !take_start_line(line)) return event::failed;
        state_ = state::headers;
        return event::need_more;
    }
    if (line.empty()) return take_blank_line();
    if (headers().size() == bounds_.fields) {
        refuse(fault::limit, 431, "it has too many header fields");
        return event::failed;
    }
    if (const char* error = add_field_line(headers(), line, may_fold())) {
        refuse(fault::protocol, 400, error);
        return event::failed;
    }
    return event::need_more;
}

event decoder::take_blank_line() {
    const event found = end_head();
    if (found == event::head) state_ = state::body;
    if (found == event::interim) {
        state_ = state::start;
        head_bytes_ = 0;
    }
    return found;
}

step decoder::take_body(std::string_view bytes) {
    const step found = body_.next(bytes);
    if (found.what == event::end) state_ = state::ended;
    if (found.what == event::failed) refuse(body_.why().kind, body_.why().status, body_.why().text);
    return found;
}

step decoder::finish() {
    const std::string inside = std::string("inside the head of the ") + subject();
    switch (state_) {
        case state::start:
            if (head_bytes_ == 0 && !has_interim())
                return cut_off(fault::protocol, std::string("without a ") + subject());
            return cut_off(fault::protocol, inside);
        case state::headers:
            return cut_off(fault::protocol, inside);
        case state::body:
            if (const auto [what, used, piece] = body_.next({}); what == event::end)
                state_ = state::ended;
            else if (body_.kind() == framing::close)
                state_ = state::ended;
            else
                return cut_off(fault::body, body_.position());
            break;
        case state::ended:
            break;
        case state::failed:
            return {event::failed, 0, {}};
    }
    return {event::end, 0, {}};
}

step decoder::cut_off(fault kind, const std::string& where) {
    why_ = problem{kind, 400, "the peer closed the connection " + where};
    state_ = state::failed;
    persistent_ = false;
    return {event::failed, 0, {}};
}

// -- framing --------------------------------------------------------------------------------------

bool decoder::take_content_length(std::string_view value) {
    if (content_length_ >= 0)
        return refuse(fault::protocol, 400, "it has several content-length fields");
    const char* end = value.data() + value.size();
    std::int64_t length = 0;
    const auto [stop, error] = std::from_chars(value.data(), end, length);
    if (value.empty() || !std::all_of(value.begin(), value.end(), ascii::is_digit))
        return refuse(fault::protocol, 400, "its content-length is not one plain number");
    if (error != std::errc() || stop != end)
        return refuse(fault::protocol, 400, "its body is larger than any file");
    content_length_ = length;
    return true;
}

bool decoder::take_transfer_encoding(std::string_view value) {
    if (has_coding_) return refuse(fault::protocol, 400, "it has several transfer-encoding fields");
    has_coding_ = true;
    if (same_word(value, "chunked")) return true;
    const std::string_view last = ascii::trimmed(value.substr(value.rfind(',') + 1));
    return refuse(fault::protocol, same_word(last, "chunked") ? 501 : 400,
                  "it uses a transfer coding other than chunked");
}

bool decoder::read_framing(int minor) {
    bool has_connection = false;
    for (const auto& [name, value] : headers()) {
        if (name.size() == 14 && same_word(name, "content-length")) {
            if (!take_content_length(value)) return false;
        } else if (name.size() == 17 && same_word(name, "transfer-encoding")) {
            if (!take_transfer_encoding(value)) return false;
        } else if (name.size() == 10 && same_word(name, "connection")) {
            has_connection = true;
        }
    }
    if (has_coding_ && content_length_ >= 0)
        return refuse(fault::protocol, 400, "it has both content-length and transfer-encoding");
    if (has_coding_ && minor == 0)
        return refuse(fault::protocol, 400,
                      "it has a transfer-encoding, which HTTP/1.0 does not know");
    persistent_ = minor >= 1;
    if (has_connection) {
        if (headers().has_token("connection", "keep-alive")) persistent_ = true;
        if (headers().has_token("connection", "close")) persistent_ = false;
    }
    return true;
}

}  // namespace h1
}  // namespace http
}  // namespace v0
}  // namespace rondo
