// SPDX-License-Identifier: MIT
// The parts of HTTP/2 messages that the engine gives and takes (RFC 9113).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <rondo/http/fields.hpp>

namespace rondo {
inline namespace v0 {
namespace http {
namespace h2 {

enum class role : std::uint8_t { client, server };

/// Codes of RST_STREAM and GOAWAY (RFC 9113, section 7). A peer may send others.
enum class code : std::uint32_t {
    no_error = 0,
    protocol_error = 1,
    internal_error = 2,
    flow_control_error = 3,
    settings_timeout = 4,
    stream_closed = 5,
    frame_size_error = 6,
    refused_stream = 7,
    cancel = 8,
    compression_error = 9,
    connect_error = 10,
    enhance_your_calm = 11,
    inadequate_security = 12,
    http_1_1_required = 13,
};
/// "REFUSED_STREAM"; "error 77" for a code that has no name.
std::string text(code which);

/// A head that has come. Names of fields are in lower case, as the peer has sent them.
struct head {
    // Of a request.
    std::string method;
    std::string scheme;
    std::string authority;      // also in `headers`, as "host"
    std::string path;           // path and query; "*" for OPTIONS; empty for CONNECT
    bool is_too_large = false;  // a limit was exceeded, and the fields above it are missing

    int status = 0;  // of a response

    http::fields headers;  // without pseudo fields; the pieces of a cookie are one field
    std::optional<std::uint64_t> content_length;
    bool is_end = false;  // no body follows
};

/// The beginning of a request to send. CONNECT has no scheme and no path.
struct request_line {
    std::string_view method;
    std::string_view scheme;
    std::string_view authority;
    std::string_view path;
    std::string_view content_length{};  // empty: not stated
};

/// How a stream ended.
struct closing {
    h2::code code = h2::code::no_error;
    /// True if the peer has reset the stream, or has said in a GOAWAY that it does not handle it.
    /// False if the stream was reset here, or has ended well.
    bool is_by_peer = false;
    /// The fault of the peer, if the engine has reset the stream: "a header field is malformed".
    /// Empty otherwise.
    std::string_view why;
};

/// Bounds of one engine.
struct options {
    std::size_t head_bytes = std::size_t{64} * 1024;  // names and values of one head
    std::size_t fields = 128;                         // of one head
    std::size_t interim = 10;                         // 1xx responses before the final one
    /// Streams that the client may have open at a time.
    std::uint32_t streams = 100;
    /// Bytes of the body of one stream that the peer may send before they are consumed. It is
    /// doubled, up to `stream_window_max`, when more than half of it comes in one round trip.
    std::uint32_t stream_window = std::uint32_t{1} << 20;
    std::uint32_t stream_window_max = std::uint32_t{16} << 20;
    /// The same for all streams of the connection together. It does not grow.
    std::uint32_t connection_window = std::uint32_t{32} << 20;
    /// Streams that the peer may reset or break before the next refill(). Beyond it the connection
    /// is ended with ENHANCE_YOUR_CALM.
    std::uint32_t resets = 200;
    /// Frames that carry nothing (PING, SETTINGS, PRIORITY, empty DATA) before the next refill().
    std::uint32_t idle_frames = 10'000;
};

}  // namespace h2
}  // namespace http
}  // namespace v0
}  // namespace rondo
