// SPDX-License-Identifier: MIT
// The HTTP/1.1 client engine of the downloader: bytes in, bytes out, no socket and no clock.
//
// It makes the request for a URL and interprets the bytes of the answer. It moves no bytes itself,
// so it is tested byte by byte, and TLS can be put beneath it later. The grammar is Boost.Beast's
// parser, used without I/O and hidden in http1.cpp. A hand-written parser would be no longer, but
// far fewer people would have tried to break it. If Beast is more liberal than is safe, http1.cpp
// refuses the answer: a doubtful end of a body is an error, never a guess (RFC 9112, section 6.3).
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

/// The bytes of a request for `where`.
/// Throws: http_error if a part contains a character that could end its line. The members of `url`
///         are public, so they are checked here.
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

    /// The result of feed(). `body` is a part of the bytes that were fed: nothing is copied.
    struct piece {
        std::size_t consumed = 0;
        std::string_view body;
    };

    /// `asked`: the answer to HEAD has no body, whatever its fields say.
    explicit response_parser(http_method asked = http_method::get);
    response_parser(response_parser&&) noexcept;
    response_parser& operator=(response_parser&&) noexcept;
    ~response_parser();

    /// Takes some of `bytes`, and at least one while not done(). Returns at the end of the head, so
    /// that the caller can check the status before the body comes, and after each piece of body:
    /// call it again with the rest. Bytes that are left when done() belong to no answer; do not use
    /// such a connection again.
    /// Throws: http_error; then neither the parser nor the connection can be used any more.
    piece feed(std::string_view bytes);

    /// Says that the connection has ended. A body without a length is complete with that.
    /// Throws: http_error if something is missing, with the number of bytes that came.
    void finish();

    bool header_done() const noexcept;
    bool done() const noexcept;

    /// Bytes of body so far.
    std::uint64_t body_bytes() const noexcept;

    // The functions below need header_done().
    int status() const noexcept;
    std::string_view reason() const noexcept;
    /// The first field of that name, case ignored.
    std::optional<std::string_view> header(std::string_view name) const noexcept;
    /// The length of the body, if the server has sent it; for HEAD and 304 the length that it would
    /// have had.
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
