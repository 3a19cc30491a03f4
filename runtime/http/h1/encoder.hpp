// SPDX-License-Identifier: MIT
// Encoders of HTTP/1.1 messages: they append bytes to a string.
//
// The encoder decides the framing, by `body_length`: fields `content-length`, `transfer-encoding`
// and `host` in `headers` are left out, so that a user's field cannot contradict the body.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "http/h1/message.hpp"

namespace rondo {
inline namespace v0 {
namespace http {
namespace h1 {

/// The length of a body as its sender knows it.
class body_length {
public:
    /// No body, and no field that speaks of one: a GET, 204, 304.
    static constexpr body_length none() noexcept { return {framing::none, 0}; }
    /// `content-length: N`.
    static constexpr body_length exactly(std::uint64_t bytes) noexcept {
        return {framing::length, bytes};
    }
    /// `transfer-encoding: chunked`.
    static constexpr body_length chunked() noexcept { return {framing::chunked, 0}; }
    /// Until the connection ends: a response to HTTP/1.0.
    static constexpr body_length until_close() noexcept { return {framing::close, 0}; }

    constexpr framing kind() const noexcept { return kind_; }
    constexpr std::uint64_t bytes() const noexcept { return bytes_; }

private:
    constexpr body_length(framing kind, std::uint64_t bytes) noexcept
        : bytes_(bytes), kind_(kind) {}
    std::uint64_t bytes_;
    framing kind_;
};

/// Appends the head of a request. `host` is the value of the field Host (url::authority()).
/// Throws: http::error if the method is no token, or the target or the host has a space or a
///         control character.
void write_request_head(std::string& out, std::string_view method, std::string_view target,
                        std::string_view host, const fields& headers, body_length body);

/// Appends the head of a response; without a `reason`, that of the status.
/// Throws: http::error if the status is not in 100 to 999, or the reason has a control character.
void write_response_head(std::string& out, int status, std::string_view reason,
                         const fields& headers, body_length body);

/// The line before the data of a chunk. CR LF follows the data: `chunk_end`.
/// `size` is not 0, which would end the body.
class chunk_head {
public:
    explicit chunk_head(std::size_t size) noexcept;
    std::string_view text() const noexcept { return {text_ + begin_, sizeof text_ - begin_}; }

private:
    char text_[18];
    std::uint8_t begin_;
};
inline constexpr std::string_view chunk_end = "\r\n";
/// The end of a body in chunks, without trailers.
inline constexpr std::string_view last_chunk = "0\r\n\r\n";
/// Appends the end of a body in chunks. Fields that decide framing are left out.
void write_last_chunk(std::string& out, const fields& trailers);

/// "Not Found" for 404; empty for a status without a standard phrase.
std::string_view reason_phrase(int status) noexcept;

}  // namespace h1
}  // namespace http
}  // namespace v0
}  // namespace rondo
