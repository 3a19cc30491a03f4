// SPDX-License-Identifier: MIT
// Heads of requests (RFC 9112, section 3).
#include <algorithm>
#include <utility>

#include "http/ascii.hpp"
#include "http/h1/decoder.hpp"

namespace rondo {
inline namespace v0 {
namespace http {
namespace h1 {

namespace {

constexpr std::size_t method_bytes_max = 64;
constexpr ascii::set authority_characters("-._~!$&'()*+,;=:[]%");

/// "HTTP/1.1": its minor version; -1 for another version of HTTP, -2 for something else.
int minor_version(std::string_view text) {
    if (text.size() != 8 || text.substr(0, 5) != "HTTP/" || text[6] != '.' ||
        !ascii::is_digit(text[5]) || !ascii::is_digit(text[7]))
        return -2;
    return text[5] == '1' && text[7] <= '1' ? text[7] - '0' : -1;
}

}  // namespace

bool is_authority(std::string_view text) noexcept {
    return std::all_of(text.begin(), text.end(),
                       [](char c) { return authority_characters.has(c); });
}

preface match_http2_preface(std::string_view bytes) noexcept {
    const std::size_t size = std::min(bytes.size(), http2_preface.size());
    if (bytes.substr(0, size) != http2_preface.substr(0, size)) return preface::no;
    return size == http2_preface.size() ? preface::yes : preface::incomplete;
}

void request_decoder::begin() {
    if (head_bytes_ > 4096) {  // an idle connection stays small; an assignment would keep the room
        request_head empty;
        std::swap(head_, empty);
    }
    restart();
    head_.headers.clear();
    expects_continue_ = false;
}

// As early as possible: a client that speaks TLS here sends its hello and then waits.
bool request_decoder::check_start(std::string_view beginning) {
    if (!beginning.empty() && beginning.front() != '\r' &&
        !ascii::token_characters.has(beginning.front()))
        return refuse(fault::protocol, 400, "it does not begin with a method");
    if (beginning.size() > bounds_.target_bytes + method_bytes_max + 10)
        return refuse(
            fault::limit, 414,
            "its target is longer than " + std::to_string(bounds_.target_bytes) + " bytes");
    return true;
}

bool request_decoder::take_start_line(std::string_view line) {
    const auto first = line.find(' ');
    const auto second = first == std::string_view::npos ? first : line.find(' ', first + 1);
    if (second == std::string_view::npos)
        return refuse(fault::protocol, 400, "its request line is malformed");
    const std::string_view method = line.substr(0, first);
    const int minor = minor_version(line.substr(second + 1));
    if (minor == -2 || method.size() > method_bytes_max || !is_token(method))
        return refuse(fault::protocol, 400, "its request line is malformed");
    if (minor < 0) return refuse(fault::protocol, 505, "its version is not HTTP/1.1 or HTTP/1.0");
    head_.method = method;
    head_.target = line.substr(first + 1, second - first - 1);
    head_.minor = minor;
    return check_target();
}

bool request_decoder::check_target() {
    const std::string_view target = head_.target;
    if (target.size() > bounds_.target_bytes)
        return refuse(
            fault::limit, 414,
            "its target is longer than " + std::to_string(bounds_.target_bytes) + " bytes");
    bool is_good = false;
    if (head_.method == "CONNECT")
        is_good = target.find(':') != std::string_view::npos && is_authority(target);
    else if (target == "*")
        is_good = head_.method == "OPTIONS";
    else if (!target.empty() && target.front() != '/')
        is_good = target.find("://") != std::string_view::npos && ascii::is_alpha(target.front());
    else
        is_good = !target.empty();
    if (!is_good || !std::all_of(target.begin(), target.end(), ascii::is_visible))
        return refuse(fault::protocol, 400, "its target is malformed");
    return true;
}

bool request_decoder::check_hosts() {
    std::size_t hosts = 0;
    for (const auto& [name, value] : head_.headers) {
        if (name.size() != 4 || !same_word(name, "host")) continue;
        if (!is_authority(value)) return refuse(fault::protocol, 400, "its host is malformed");
        ++hosts;
    }
    if (hosts > 1) return refuse(fault::protocol, 400, "it has several host fields");
    if (hosts == 0 && head_.minor > 0) return refuse(fault::protocol, 400, "it has no host field");
    return true;
}

event request_decoder::end_head() {
    if (!check_hosts() || !read_framing(head_.minor)) return event::failed;
    const framing kind = has_coding_           ? framing::chunked
                         : content_length_ > 0 ? framing::length
                                               : framing::none;
    start_body(kind);
    expects_continue_ = kind != framing::none && head_.minor > 0 &&
                        head_.headers.has_token("expect", "100-continue");
    return event::head;
}

}  // namespace h1
}  // namespace http
}  // namespace v0
}  // namespace rondo
