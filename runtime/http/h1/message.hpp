// SPDX-License-Identifier: MIT
// The parts of HTTP/1.1 messages that decoders give and encoders take (RFC 9112).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <rondo/http/fields.hpp>

namespace rondo {
inline namespace v0 {
namespace http {
namespace h1 {

/// Bounds of one message; each also holds if the message comes byte by byte.
struct limits {
    std::size_t head_bytes = std::size_t{64} * 1024;   // start line and fields
    std::size_t target_bytes = std::size_t{8} * 1024;  // of a request
    std::size_t fields = 128;                          // of the head; and of the trailers
    std::size_t trailer_bytes = std::size_t{32} * 1024;
    std::size_t extension_bytes = std::size_t{16} * 1024;  // of chunks, above 16 + 2 x size each
    std::size_t interim = 100;                             // 1xx responses before the final one
};

struct response_head {
    int status = 0;  // 100 to 999
    int minor = 1;   // of the version: HTTP/1.1 or HTTP/1.0
    std::string reason;
    http::fields headers;
};

struct request_head {
    std::string method;
    std::string target;
    int minor = 1;
    http::fields headers;
};

/// How the end of a body is found.
enum class framing : std::uint8_t {
    none,     ///< there is no body
    length,   ///< content-length
    chunked,  ///< transfer-encoding: chunked
    close,    ///< the end of the connection; responses only
};

/// The next thing that a decoder has found.
enum class event : std::uint8_t {
    need_more,  ///< all bytes were consumed; give more
    interim,    ///< the head of a 1xx response, in head(); the final one follows
    head,       ///< the head is complete
    body,       ///< a piece of the body, in `step.body`
    end,        ///< the message is complete; bytes that are left do not belong to it
    failed,     ///< the message is refused, and why() says why; close the connection
};

/// Result of a call of a decoder.
struct step {
    event what = event::need_more;
    std::size_t consumed = 0;  // bytes of the input; give the rest to the next call
    std::string_view body;     // a part of the input: nothing is copied
};

/// Why a message is refused.
enum class fault : std::uint8_t {
    none,
    protocol,  ///< it breaks the rules, or the connection ended before the head was complete
    limit,     ///< it is larger than a limit
    body,      ///< the connection ended inside the body
};

struct problem {
    fault kind = fault::none;
    int status = 0;  // for a server's answer: 400, 414, 431, 501, 505
    std::string text;
};

/// Throws: protocol_error, limit_error or body_error of this problem.
[[noreturn]] void raise(const problem& what, std::string_view method, std::string_view url,
                        std::uint64_t body_bytes);

}  // namespace h1
}  // namespace http
}  // namespace v0
}  // namespace rondo
