// SPDX-License-Identifier: MIT
// Heads of responses (RFC 9112, section 4; RFC 9110, section 15).
#include <algorithm>

#include "http/ascii.hpp"
#include "http/h1/decoder.hpp"

namespace rondo {
inline namespace v0 {
namespace http {
namespace h1 {

namespace {
constexpr std::string_view version = "HTTP/1.";
}

void response_decoder::begin(std::string_view method, bool upgrade) {
    restart();
    head_.headers.clear();
    head_.status = 0;
    interim_ = 0;
    is_head_ = method == "HEAD";
    is_connect_ = method == "CONNECT";
    upgrade_ = upgrade;
    upgraded_ = false;
}

// As early as possible: a server of another protocol may send a few bytes and then wait.
bool response_decoder::check_start(std::string_view beginning) {
    if (beginning.substr(0, version.size()) == version.substr(0, beginning.size())) return true;
    return refuse_protocol(beginning);
}

bool response_decoder::refuse_protocol(std::string_view beginning) {
    why_ = {fault::protocol, 0,
            "the server does not speak HTTP/1: it says \"" +
                ascii::printable(beginning.substr(0, 20)) + '"'};
    state_ = state::failed;
    return false;
}

// "HTTP/1.1 200 OK", "HTTP/1.1 200 ", and "HTTP/1.1 200" of some servers.
bool response_decoder::take_start_line(std::string_view line) {
    if (line.substr(0, version.size()) != version) return refuse_protocol(line);
    const std::string_view rest = line.substr(version.size());
    const bool is_good = rest.size() >= 5 && (rest[0] == '0' || rest[0] == '1') && rest[1] == ' ' &&
                         std::all_of(&rest[2], &rest[2] + 3, ascii::is_digit) && rest[2] != '0' &&
                         (rest.size() == 5 || rest[5] == ' ');
    const std::string_view reason =
        is_good ? rest.substr(std::min<std::size_t>(rest.size(), 6)) : std::string_view();
    if (!is_good || !is_field_value(reason))
        return refuse(fault::protocol, 0, "its status line is malformed");
    head_.minor = rest[0] - '0';
    head_.status = (rest[2] - '0') * 100 + (rest[3] - '0') * 10 + (rest[4] - '0');
    head_.reason = reason;
    return true;
}

event response_decoder::end_head() {
    const int status = head_.status;
    if (status == 101) {
        if (!upgrade_) {
            refuse(fault::protocol, 0, "it switches the protocol without being asked to");
            return event::failed;
        }
        upgraded_ = true;
        start_body(framing::none);
        return event::head;
    }
    if (status / 100 == 1) {
        if (++interim_ <= bounds_.interim) return event::interim;
        refuse(fault::limit, 0, "it has too many interim responses before it");
        return event::failed;
    }
    if (!read_framing(head_.minor)) return event::failed;
    upgraded_ = is_connect_ && status / 100 == 2;
    const bool has_no_body = is_head_ || status == 204 || status == 304 || upgraded_;
    const framing kind = has_no_body            ? framing::none
                         : has_coding_          ? framing::chunked
                         : content_length_ >= 0 ? framing::length
                                                : framing::close;
    start_body(kind);
    // A 204 has no body. If it claims one, the server may yet send it before the next response.
    const bool is_dubious = status == 204 && (has_coding_ || content_length_ > 0);
    if (kind == framing::close || upgraded_ || is_dubious) persistent_ = false;
    return event::head;
}

}  // namespace h1
}  // namespace http
}  // namespace v0
}  // namespace rondo
