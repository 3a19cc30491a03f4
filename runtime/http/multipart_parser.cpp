// SPDX-License-Identifier: MIT
#include "http/multipart_parser.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "http/ascii.hpp"

namespace rondo {
inline namespace v0 {
namespace http {

namespace {

constexpr std::size_t boundary_bytes_max = 70;
constexpr ascii::set boundary_characters("'()+_,-./:=? ");

/// Names as browsers escape them: %22, %0D and %0A, and no other.
std::string unescaped(std::string_view text) {
    std::string result;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const std::string_view three = text.substr(i, 3);
        const char c = three == "%22" ? '"' : three == "%0D" ? '\r' : three == "%0A" ? '\n' : '\0';
        result += c != '\0' ? c : text[i];
        if (c != '\0') i += 2;
    }
    return result;
}

}  // namespace

multipart_parser::multipart_parser(std::string_view content_type, const multipart_limits& bounds)
    : bounds_(bounds) {
    const parameters type(content_type);
    const std::string_view boundary = type.get("boundary").value_or("");
    if (!same_word(type.value(), "multipart/form-data") || boundary.empty() ||
        boundary.size() > boundary_bytes_max || boundary.back() == ' ' ||
        !std::all_of(boundary.begin(), boundary.end(),
                     [](char c) { return boundary_characters.has(c); }))
        fail(h1::fault::protocol, 0, "the body is no multipart/form-data with a boundary");
    (delimiter_ = "\r\n--") += boundary;
}

multipart_parser::step multipart_parser::fail(h1::fault kind, std::size_t used, const char* text) {
    why_ = h1::problem{kind, kind == h1::fault::limit ? 413 : 400, text};
    state_ = state::failed;
    return {event::failed, used, {}};
}

multipart_parser::step multipart_parser::next(std::string_view bytes) {
    step found;
    do {
        const std::string_view rest = bytes.substr(found.consumed);
        step now;
        switch (state_) {
            case state::preamble:
            case state::body:
                now = take_body(rest);
                break;
            case state::after_delimiter:
                now = take_after_delimiter(rest);
                break;
            case state::head:
                now = take_head(rest);
                break;
            case state::ended:
                now.what = event::end;
                break;
            case state::failed:
                now.what = event::failed;
                break;
        }
        found = {now.what, found.consumed + now.consumed, now.body};
    } while (found.what == event::need_more && found.consumed < bytes.size());
    return found;
}

/// Compares bytes with the rest of the delimiter. Returns: how many belong to it.
std::size_t multipart_parser::match(std::string_view bytes) {
    std::size_t size = 0;
    while (size < bytes.size() && matched_ < delimiter_.size() &&
           bytes[size] == delimiter_[matched_])
        ++size, ++matched_;
    return size;
}

// A delimiter begins with its only CR, so that a match which fails is data as a whole, and the next
// one begins at the byte that did not fit. Bytes of a match that came earlier are given from the
// delimiter itself.
multipart_parser::step multipart_parser::take_body(std::string_view bytes) {
    const bool is_preamble = state_ == state::preamble;
    if (matched_ > 0) {
        const std::size_t before = matched_;
        const std::size_t size = match(bytes);
        if (matched_ == delimiter_.size()) {
            matched_ = granted_ = 0;
            has_dash_ = has_cr_ = has_padding_ = false;
            state_ = state::after_delimiter;
            return {event::need_more, size, {}};
        }
        if (size == bytes.size()) return {event::need_more, size, {}};
        matched_ = 0;
        // `size` bytes of this input and `before` of earlier ones: all are in the delimiter.
        const std::size_t granted = std::exchange(granted_, 0);
        const auto data = std::string_view(delimiter_).substr(granted, before + size - granted);
        if (is_preamble || data.empty()) return {event::need_more, size, {}};
        return {event::body, size, data};
    }
    const void* found = bytes.empty() ? nullptr : std::memchr(bytes.data(), '\r', bytes.size());
    const std::size_t size =
        found == nullptr ? bytes.size()
                         : static_cast<std::size_t>(static_cast<const char*>(found) - bytes.data());
    if (size == 0) {
        if (bytes.empty()) return {};
        matched_ = 1;
        return {event::need_more, 1, {}};
    }
    return {is_preamble ? event::need_more : event::body, size, bytes.substr(0, size)};
}

multipart_parser::step multipart_parser::take_after_delimiter(std::string_view bytes) {
    constexpr const char* malformed = "after a boundary of the multipart body is something else";
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        const char c = bytes[i];
        if (has_dash_ || (c == '-' && !has_cr_)) {
            if (c != '-' || has_padding_) return fail(h1::fault::protocol, i, malformed);
            if (has_dash_) state_ = state::ended;
            if (has_dash_) return {event::end, i + 1, {}};
            has_dash_ = true;
        } else if (has_cr_) {
            if (c != '\n') return fail(h1::fault::protocol, i, malformed);
            has_cr_ = false;
            if (++part_count_ > bounds_.parts)
                return fail(h1::fault::limit, i, "the multipart body has too many parts");
            headers_.clear();
            head_bytes_ = 0;
            state_ = state::head;
            return {event::need_more, i + 1, {}};
        } else if (c == '\r') {
            has_cr_ = true;
        } else if (c == ' ' || c == '\t') {
            has_padding_ = true;
        } else {
            return fail(h1::fault::protocol, i, malformed);
        }
    }
    return {event::need_more, bytes.size(), {}};
}

multipart_parser::step multipart_parser::take_head(std::string_view bytes) {
    std::size_t used = 0;
    for (;;) {
        const auto line = lines_.take(bytes.substr(used, bounds_.head_bytes - head_bytes_));
        used += line.consumed;
        head_bytes_ += line.consumed;
        if (line.error != nullptr) return fail(h1::fault::protocol, used, line.error);
        if (!line.is_complete) {
            if (used == bytes.size()) return {event::need_more, used, {}};
            return fail(h1::fault::limit, used, "the head of a part is too long");
        }
        if (line.text.empty()) break;
        if (headers_.size() == bounds_.fields)
            return fail(h1::fault::limit, used, "a part has too many header fields");
        if (const char* error = h1::add_field_line(headers_, line.text, true))
            return fail(h1::fault::protocol, used, error);
    }
    if (!read_disposition())
        return fail(h1::fault::protocol, used, "a part of the multipart body has no name");
    state_ = state::body;
    matched_ = granted_ = 2;  // an empty part has its boundary right here
    return {event::part, used, {}};
}

bool multipart_parser::read_disposition() {
    const parameters all(headers_.get("content-disposition").value_or(""));
    const auto name = all.get("name");
    if (!same_word(all.value(), "form-data") || !name) return false;
    const auto file_name = all.get("filename");
    name_ = unescaped(*name);
    file_name_ = unescaped(file_name.value_or(""));
    is_file_ = file_name.has_value();
    return true;
}

bool multipart_parser::finish() {
    if (state_ == state::ended) return true;
    if (state_ != state::failed) fail(h1::fault::body, 0, "the multipart body is cut off");
    return false;
}

}  // namespace http
}  // namespace v0
}  // namespace rondo
