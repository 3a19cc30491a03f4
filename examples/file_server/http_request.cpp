// SPDX-License-Identifier: MIT
// Requests, paths and heads of answers (RFC 9112, strictly).
#include "http_request.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/core.h>

namespace file_server {

namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool same_word(std::string_view a, std::string_view b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](char x, char y) { return lower(x) == lower(y); });
}

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool is_token_character(char c) {
    return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'z') ||
           std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

bool is_token(std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), is_token_character);
}

bool is_field_value(std::string_view text) {
    return std::none_of(text.begin(), text.end(),
                        [](char c) { return is_control(c) && c != '\t'; });
}

bool is_visible(char c) { return c > 0x20 && c < 0x7f; }

std::string_view trimmed(std::string_view text) {
    const auto first = text.find_first_not_of(" \t");
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

int hex_digit(char c) {
    if (is_digit(c)) return c - '0';
    return lower(c) >= 'a' && lower(c) <= 'f' ? lower(c) - 'a' + 10 : -1;
}

std::optional<std::string> percent_decoded(std::string_view text) {
    std::string result;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            result += text[i];
            continue;
        }
        const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
        const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
        if (high < 0 || low < 0) return std::nullopt;
        result += static_cast<char>(high * 16 + low);
        i += 2;
    }
    return result;
}

std::string_view reason(int status) {
    switch (status) {
        case 200:
            return "OK";
        case 400:
            return "Bad Request";
        case 404:
            return "Not Found";
        case 405:
            return "Method Not Allowed";
        case 431:
            return "Request Header Fields Too Large";
        case 505:
            return "HTTP Version Not Supported";
        default:
            return "Internal Server Error";
    }
}

}  // namespace

std::size_t request_parser::feed(std::string_view bytes) {
    std::size_t used = 0;
    while (used < bytes.size() && !done_) {
        const std::string_view rest = bytes.substr(used);
        const auto newline = rest.find('\n');
        const std::size_t size = newline == std::string_view::npos ? rest.size() : newline + 1;
        if (size > head_bytes_max - bytes_) {
            refuse(431);
            break;
        }
        line_.append(rest.data(), size);
        bytes_ += size;
        used += size;
        if (newline == std::string_view::npos) break;
        if (line_.size() < 2 || line_[line_.size() - 2] != '\r')
            refuse(400);
        else
            take_line(std::string_view(line_).substr(0, line_.size() - 2));
        line_.clear();
    }
    return used;
}

void request_parser::refuse(int status) {
    status_ = status;
    keep_alive_ = false;
    done_ = true;
}

void request_parser::take_line(std::string_view line) {
    if (!has_request_line_) {
        if (!line.empty())  // old clients send an empty line after a body: RFC 9112, section 2.2
            take_request_line(line);
    } else if (line.empty()) {
        end_head();
    } else {
        take_field(line);
    }
}

void request_parser::take_request_line(std::string_view line) {
    const auto first = line.find(' ');
    const auto second = first == std::string_view::npos ? first : line.find(' ', first + 1);
    if (second == std::string_view::npos) return refuse(400);
    const std::string_view method = line.substr(0, first);
    const std::string_view target = line.substr(first + 1, second - first - 1);
    const std::string_view version = line.substr(second + 1);

    const bool is_version = version.size() == 8 && version.substr(0, 5) == "HTTP/" &&
                            is_digit(version[5]) && version[6] == '.' && is_digit(version[7]);
    if (!is_version || !is_token(method)) return refuse(400);
    if (version[5] != '1') return refuse(505);
    if (method != "GET" && method != "HEAD") return refuse(405);
    if (target.empty() || target.front() != '/' ||
        !std::all_of(target.begin(), target.end(), is_visible))
        return refuse(400);
    has_request_line_ = true;
    is_head_ = method == "HEAD";
    is_http_1_0_ = version[7] == '0';
    target_ = target;
}

void request_parser::take_field(std::string_view line) {
    const auto colon = line.find(':');
    if (colon == std::string_view::npos || !is_token(line.substr(0, colon)))
        return refuse(400);  // also a folded line, which starts with a space
    const std::string_view name = line.substr(0, colon);
    const std::string_view value = trimmed(line.substr(colon + 1));
    if (!is_field_value(value)) return refuse(400);
    if (++fields_ > fields_max) return refuse(431);

    if (same_word(name, "Host"))
        ++hosts_;
    else if (same_word(name, "Connection"))
        take_connection(value);
    else if (same_word(name, "Transfer-Encoding") ||
             (same_word(name, "Content-Length") && (value != "0" || ++lengths_ > 1)))
        refuse(400);  // a body, or nonsense
}

void request_parser::take_connection(std::string_view value) {
    while (!value.empty()) {
        const std::string_view word = value.substr(0, value.find(','));
        value.remove_prefix(std::min(word.size() + 1, value.size()));
        asks_close_ = asks_close_ || same_word(trimmed(word), "close");
        asks_keep_alive_ = asks_keep_alive_ || same_word(trimmed(word), "keep-alive");
    }
}

void request_parser::end_head() {
    if (hosts_ > 1 || (hosts_ == 0 && !is_http_1_0_)) return refuse(400);
    keep_alive_ = !asks_close_ && (asks_keep_alive_ || !is_http_1_0_);
    done_ = true;
}

std::optional<std::string> path_below_root(std::string_view target) {
    target = target.substr(0, target.find('?'));
    if (target.empty() || target.front() != '/') return std::nullopt;
    std::string path;
    while (!target.empty()) {
        target.remove_prefix(1);  // the '/' in front of the segment
        const std::string_view raw = target.substr(0, target.find('/'));
        target.remove_prefix(raw.size());
        std::string segment = percent_decoded(raw).value_or("/");
        if (raw.empty() && !target.empty()) continue;  // "a//b" is "a/b", as a file system has it
        if (raw.empty()) segment = "index.html";
        if (segment.front() == '.' || segment.find('/') != std::string::npos ||
            std::any_of(segment.begin(), segment.end(), is_control))
            return std::nullopt;
        path += (path.empty() ? "" : "/") + segment;
    }
    return path;
}

std::string_view content_type(std::string_view path) {
    using row = std::pair<std::string_view, std::string_view>;
    static constexpr std::array<row, 21> table = {{
        {"html", "text/html; charset=utf-8"},
        {"htm", "text/html; charset=utf-8"},
        {"txt", "text/plain; charset=utf-8"},
        {"md", "text/plain; charset=utf-8"},
        {"css", "text/css; charset=utf-8"},
        {"csv", "text/csv; charset=utf-8"},
        {"js", "text/javascript; charset=utf-8"},
        {"json", "application/json"},
        {"xml", "application/xml"},
        {"pdf", "application/pdf"},
        {"zip", "application/zip"},
        {"gz", "application/gzip"},
        {"wasm", "application/wasm"},
        {"svg", "image/svg+xml"},
        {"png", "image/png"},
        {"jpg", "image/jpeg"},
        {"jpeg", "image/jpeg"},
        {"gif", "image/gif"},
        {"webp", "image/webp"},
        {"mp3", "audio/mpeg"},
        {"mp4", "video/mp4"},
    }};
    const std::string_view name = path.substr(path.rfind('/') + 1);
    const auto dot = name.rfind('.');
    if (dot != std::string_view::npos)
        for (const auto& [extension, type] : table)
            if (same_word(name.substr(dot + 1), extension)) return type;
    return "application/octet-stream";
}

std::string http_date(std::time_t when) {
    // Not strftime: its names follow the locale.
    constexpr std::array days = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    constexpr std::array months = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    std::tm t{};
    gmtime_r(&when, &t);
    return fmt::format("{}, {:02} {} {:04} {:02}:{:02}:{:02} GMT",
                       days[static_cast<std::size_t>(t.tm_wday)], t.tm_mday,
                       months[static_cast<std::size_t>(t.tm_mon)], t.tm_year + 1900, t.tm_hour,
                       t.tm_min, t.tm_sec);
}

std::string head_text(const response_head& head) {
    std::string text = fmt::format(
        "HTTP/1.1 {} {}\r\n"
        "Server: rondo-file-server\r\n"
        "Content-Length: {}\r\n"
        "Content-Type: {}\r\n"
        "Connection: {}\r\n",
        head.status, reason(head.status), head.content_length, head.content_type,
        head.keep_alive ? "keep-alive" : "close");
    if (head.status == 405) text += "Allow: GET, HEAD\r\n";
    if (!head.date.empty()) text += fmt::format("Date: {}\r\n", head.date);
    return text + "\r\n";
}

std::string error_text(int status, bool is_head, bool keep_alive, std::string_view date) {
    const std::string body = fmt::format("{} {}\n", status, reason(status));
    response_head head;
    head.status = status;
    head.content_length = body.size();
    head.content_type = "text/plain; charset=utf-8";
    head.date = date;
    head.keep_alive = keep_alive;
    return head_text(head) + (is_head ? "" : body);
}

}  // namespace file_server
