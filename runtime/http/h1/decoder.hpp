// SPDX-License-Identifier: MIT
// Decoders of HTTP/1.1 messages: bytes in, events out; no socket, no clock, no exception for what
// the peer does wrong. The pattern of use, the same for responses and requests:
//
//     decoder.begin(...);                      // once for each message
//     for (;;) {
//         const h1::step step = decoder.next(unread);
//         unread.remove_prefix(step.consumed);
//         switch (step.what) …            // need_more: read; at the end of the stream: finish()
//     }
//
// Of a head, every byte is consumed as it comes; a line that is split over reads is kept here. So
// the caller's buffer may have any size. docs/http.md has the table of what is taken and refused.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "http/h1/body.hpp"
#include "http/h1/field_lines.hpp"
#include "http/h1/message.hpp"

namespace rondo {
inline namespace v0 {
namespace http {
namespace h1 {

/// The common part of both decoders: lines of the head, the body, the end.
class decoder {
public:
    explicit decoder(const limits& bounds) noexcept : bounds_(bounds) {}

    /// Takes some of `bytes`, and gives the next event. After `end` and `failed` it consumes
    /// nothing and gives the same event again, until begin().
    step next(std::string_view bytes);
    /// Says that the stream has ended. It completes a body without a length.
    /// Returns: `end`, or `failed` if something is missing.
    step finish();

    /// Why the message is refused, after `failed`.
    const problem& why() const noexcept { return why_; }
    framing body_framing() const noexcept { return body_.kind(); }
    /// Value of content-length; also of a response that has no body for other reasons (HEAD, 304).
    /// Returns: -1 if there is none.
    std::int64_t content_length() const noexcept { return content_length_; }
    /// Bytes of the body so far, without the framing.
    std::uint64_t body_bytes() const noexcept { return body_.bytes(); }
    /// Fields after a chunked body; complete at `end`.
    const fields& trailers() const noexcept { return body_.trailers(); }
    /// True if no byte of the message has come yet.
    bool is_untouched() const noexcept { return state_ == state::start && head_bytes_ == 0; }
    bool has_ended() const noexcept { return state_ == state::ended; }
    /// True if the message has ended and the connection can carry another one: its body had a
    /// stated end, and both version and `connection` allow it.
    bool keep_alive() const noexcept { return has_ended() && persistent_; }
    /// After `head`: true if version and `connection` allow another message.
    bool is_persistent() const noexcept { return persistent_; }

protected:
    ~decoder() = default;
    enum class state : std::uint8_t { start, headers, body, ended, failed };
    enum class line : std::uint8_t { incomplete, complete, failed };

    virtual bool take_start_line(std::string_view line) = 0;
    /// Called as soon as bytes of a start line are there, so that a foreign protocol is noticed.
    virtual bool check_start(std::string_view beginning) = 0;
    /// The head is complete: decides about the body. Returns: head, interim or failed.
    virtual event end_head() = 0;
    virtual fields& headers() noexcept = 0;
    virtual bool may_fold() const noexcept = 0;
    virtual bool may_begin_with_blank() const noexcept = 0;
    virtual bool has_interim() const noexcept { return false; }
    /// "response" or "request".
    virtual const char* subject() const noexcept = 0;

    void restart();
    /// Notes the problem: "the response is refused: TEXT". Returns: false.
    bool refuse(fault kind, int status, const std::string& text);
    /// Reads content-length, transfer-encoding and connection. Returns: false if refused.
    bool read_framing(int minor);
    void start_body(framing kind) { body_.begin(kind, content_length_, bounds_, may_fold()); }

    limits bounds_;
    problem why_;
    field_lines lines_;
    body_decoder body_;
    std::size_t head_bytes_ = 0;
    std::int64_t content_length_ = -1;
    bool has_coding_ = false;  // transfer-encoding: chunked
    bool persistent_ = false;
    state state_ = state::start;

private:
    step take_head(std::string_view bytes);
    event take_line(std::string_view line);
    event take_blank_line();
    bool take_content_length(std::string_view value);
    bool take_transfer_encoding(std::string_view value);
    step take_body(std::string_view bytes);
    step cut_off(fault kind, const std::string& where);
};

/// Decodes responses.
class response_decoder final : public decoder {
public:
    explicit response_decoder(const limits& bounds = {}) noexcept : decoder(bounds) {}

    /// Prepares for the response to a request of `method`, which decides whether a body follows.
    /// `upgrade`: the request asked for another protocol, so 101 is taken; without it 101 is
    /// refused.
    void begin(std::string_view method, bool upgrade = false);

    /// After `head` or `interim`, until the next call of next().
    const response_head& head() const noexcept { return head_; }
    response_head take_head() noexcept { return std::move(head_); }
    /// True after 101, or a CONNECT that succeeded: what follows the head is another protocol.
    bool is_upgraded() const noexcept { return upgraded_; }

private:
    bool take_start_line(std::string_view line) override;
    bool check_start(std::string_view beginning) override;
    event end_head() override;
    fields& headers() noexcept override { return head_.headers; }
    bool may_fold() const noexcept override { return true; }
    bool may_begin_with_blank() const noexcept override { return false; }
    bool has_interim() const noexcept override { return interim_ > 0; }
    const char* subject() const noexcept override { return "response"; }

    bool refuse_protocol(std::string_view beginning);

    response_head head_;
    std::size_t interim_ = 0;
    bool is_head_ = false;
    bool is_connect_ = false;
    bool upgrade_ = false;
    bool upgraded_ = false;
};

/// Decodes requests.
class request_decoder final : public decoder {
public:
    explicit request_decoder(const limits& bounds = {}) noexcept : decoder(bounds) {}

    void begin();

    /// After `head`.
    const request_head& head() const noexcept { return head_; }
    request_head take_head() noexcept { return std::move(head_); }
    /// True if the client waits for "100 Continue" before it sends the body.
    bool expects_continue() const noexcept { return expects_continue_; }

private:
    bool take_start_line(std::string_view line) override;
    bool check_start(std::string_view beginning) override;
    event end_head() override;
    fields& headers() noexcept override { return head_.headers; }
    bool may_fold() const noexcept override { return false; }
    bool may_begin_with_blank() const noexcept override { return true; }
    const char* subject() const noexcept override { return "request"; }
    bool check_target();
    bool check_hosts();

    request_head head_;
    bool expects_continue_ = false;
};

/// True if it has only characters of a host and a port.
bool is_authority(std::string_view text) noexcept;

/// The first bytes of a client of HTTP/2 (RFC 9113, section 3.4).
inline constexpr std::string_view http2_preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Compares the first bytes of a connection with them.
enum class preface : std::uint8_t { no, incomplete, yes };
preface match_http2_preface(std::string_view bytes) noexcept;

}  // namespace h1
}  // namespace http
}  // namespace v0
}  // namespace rondo
