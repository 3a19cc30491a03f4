// SPDX-License-Identifier: MIT
// The HTTP/1.1 client engine of the downloader: bytes in, bytes out, no socket and no clock.
//
// It knows what to send for a URL and what the bytes that come back mean; who moves the bytes is
// somebody else's business, so it is tested byte by byte and TLS can be put beneath it later. The
// grammar is Boost.Beast's parser, used without I/O and hidden in http1.cpp. A hand-written one
// would be no longer, but far fewer people would have tried to break it. Where Beast is more
// liberal than is safe, http1.cpp says so and refuses: on doubt about where a body ends the answer
// is an error, never a guess (RFC 9112, section 6.3).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "url.hpp"

namespace downloader {

enum class http_method : unsigned char { get, head };

struct request_options {
    http_method method = http_method::get;
    bool keep_alive = false;
    std::string_view user_agent = "rondo-downloader";
};

/// The bytes that ask for `where`.
/// Throws: http_error if a part contains what could end its line: the members of `url` can be set
/// by anybody.
std::string request_text(const url& where, request_options how = {});

/// Takes one answer apart as it arrives, in pieces of any size.
/// Limits: 64 KiB of head, interim answers included, 128 fields, ten interim answers, 32 KiB of
/// trailers.
class response_parser {
public:
    static constexpr std::size_t head_bytes_max = std::size_t{64} * 1024;
    static constexpr std::size_t trailer_bytes_max =
        std::size_t{32} * 1024;  // and chunk extensions
    static constexpr std::size_t fields_max = 128;
    static constexpr std::size_t interim_max = 10;  // 100 Continue, 103 Early Hints

    /// What a call of feed() did. `body` is a part of the bytes that were fed: nothing is copied.
    struct piece {
        std::size_t consumed = 0;
        std::string_view body;
    };

    /// An answer to HEAD has no body, whatever its fields say.
    explicit response_parser(http_method asked = http_method::get);
    response_parser(response_parser&&) noexcept;
    response_parser& operator=(response_parser&&) noexcept;
    ~response_parser();

    /// Takes some of `bytes`, and at least one while not done(). Returns at the end of the head, so
    /// that the caller can look at the status before the body flows, and after each piece of body:
    /// call it again with the rest. What is left when done() belongs to no answer; a connection
    /// with such a rest is not to be used again.
    /// Throws: http_error; then the parser and the connection are of no more use.
    piece feed(std::string_view bytes);

    /// Says that the connection has ended. A body without a length is complete with that.
    /// Throws: http_error if something is missing, with the number of bytes that came.
    void finish();

    bool header_done() const noexcept;
    bool done() const noexcept;

    /// Bytes of body so far.
    std::uint64_t body_bytes() const noexcept;

    // From here on: once header_done().
    int status() const noexcept;
    std::string_view reason() const noexcept;
    /// The first field of that name, case ignored.
    std::optional<std::string_view> header(std::string_view name) const noexcept;
    /// How long the body is, where the server has said so; for HEAD and 304: would have been.
    std::optional<std::uint64_t> content_length() const noexcept;
    /// True if the connection can carry another request after this answer.
    bool keep_alive() const noexcept;
    /// Throws: http_error ("404 Not Found") unless the answer carries the whole file.
    void raise_for_status() const;

private:
    class engine;
    std::unique_ptr<engine> engine_;
};

}  // namespace downloader
