// SPDX-License-Identifier: MIT
// Lines of an access log. Bytes of the client are escaped, so that it can forge no line.
#include <chrono>
#include <ctime>
#include <string>

#include <rondo/http/router.hpp>

#include "http/ascii.hpp"

namespace rondo {
inline namespace v0 {
namespace http {

namespace {

/// As Apache does: quotes and backslashes escaped, other bytes than printable ASCII as \xhh.
void append_log_text(std::string& to, std::string_view text) {
    for (const char c : text) {
        if (c == '"' || c == '\\') {
            (to += '\\') += c;
        } else if (c == ' ' || ascii::is_visible(c)) {
            to += c;
        } else {
            const auto byte = static_cast<unsigned char>(c);
            ((to += "\\x") += ascii::hex_digits[byte >> 4]) += ascii::hex_digits[byte & 15];
        }
    }
}

void append_quoted(std::string& to, std::string_view text) {
    to += '"';
    append_log_text(to, text.empty() ? "-" : text);
    to += '"';
}

void append_time(std::string& to, std::chrono::system_clock::time_point when) {
    const std::time_t seconds = std::chrono::system_clock::to_time_t(when);
    std::tm local{};
    ::localtime_r(&seconds, &local);
    static constexpr const char* months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                             "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    char day[8], rest[32];
    const std::size_t days = std::strftime(day, sizeof day, "%d/", &local);
    const std::size_t others = std::strftime(rest, sizeof rest, "/%Y:%H:%M:%S %z", &local);
    to.append(day, days).append(months[local.tm_mon]).append(rest, others);
}

}  // namespace

std::string common_log(const access& of) {
    const http::request& request = *of.request;
    std::string line = request.remote().is_ip() ? request.remote().address() : std::string("-");
    line += " - ";
    if (request.user().empty())
        line += '-';
    else
        append_log_text(line, request.user());
    line += " [";
    append_time(line, of.when);
    line += "] \"";
    append_log_text(line, request.method());
    line += ' ';
    append_log_text(line, request.target());
    ((line += ' ') += http::text(request.version())) += "\" ";
    ((line += std::to_string(of.status)) += ' ') += std::to_string(of.bytes_sent);
    return line;
}

std::string combined_log(const access& of) {
    std::string line = common_log(of);
    line += ' ';
    append_quoted(line, of.request->header("referer").value_or(""));
    line += ' ';
    append_quoted(line, of.request->header("user-agent").value_or(""));
    return line;
}

}  // namespace http
}  // namespace v0
}  // namespace rondo
