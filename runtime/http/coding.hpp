// SPDX-License-Identifier: MIT
// Content codings (RFC 9110, section 8.4): gzip, deflate, br and zstd, also stacked. A decoder is
// given compressed bytes and room for plain ones; it takes no more memory than that, whatever a
// few bytes expand to. Failures are values, as those of the HTTP/1.1 decoder.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "http/h1/message.hpp"

namespace rondo {
inline namespace v0 {
namespace http {

/// Bounds of one decoded body.
struct coding_limits {
    std::size_t codings = 4;                                          // one upon the other
    std::uint64_t bytes = std::numeric_limits<std::uint64_t>::max();  // decoded
    std::uint64_t ratio = 250;                                        // decoded to encoded bytes
    std::uint64_t ratio_from = std::uint64_t{64} * 1024 * 1024;       // below, any ratio may be
};

/// One step from coded to plainer bytes: a library's decoder.
class coding_stage {
public:
    enum class result : std::uint8_t { good, broken };
    virtual ~coding_stage() = default;
    /// Takes from the front of `in` and writes to the front of `out`; removes both from the views.
    /// Leaves neither input nor pending output if `room` remains.
    virtual result run(std::string_view& in, char*& out, std::size_t& room) = 0;
    /// True if the input so far is a whole stream.
    virtual bool is_complete() const noexcept = 0;
};

/// A decoder of the coding of that name.
/// Returns: null, and a sentence in `error`, if the coding is unknown or its library missing.
std::unique_ptr<coding_stage> make_coding_stage(std::string_view name, std::string& error);

class content_decoder {
public:
    /// For a body with `content-encoding: CODINGS`. It may have failed at once: see why().
    explicit content_decoder(std::string_view codings, const coding_limits& bounds = {});

    /// True if there is nothing to decode: none, or "identity".
    bool is_identity() const noexcept { return links_.empty() && !has_failed(); }

    struct result {
        std::size_t consumed = 0;
        std::size_t produced = 0;
        bool has_failed = false;
    };
    /// Decodes from `in` into `room` bytes at `out`. If it produces less than `room`, all of `in`
    /// was consumed and nothing is pending; otherwise call it again with the rest, which may be
    /// empty.
    result decode(std::string_view in, char* out, std::size_t room);
    /// Says that the body has ended, after decode() has produced less than it had room for.
    /// Returns: false if the body is cut off.
    bool finish();

    bool has_failed() const noexcept { return why_.kind != h1::fault::none; }
    const h1::problem& why() const noexcept { return why_; }

private:
    static constexpr std::size_t buffer_bytes = std::size_t{16} * 1024;
    struct link {
        std::unique_ptr<coding_stage> stage;
        std::unique_ptr<char[]> buffer;  // output of the link before; the first has none
        std::string_view waiting;        // in the buffer
        std::uint64_t produced = 0;
    };
    std::size_t pull(std::size_t index, char* out, std::size_t room);
    bool is_within_bounds(std::size_t index);
    void fail(h1::fault kind, std::string text);

    std::vector<link> links_;  // in the order of decoding
    coding_limits bounds_;
    h1::problem why_;
    std::string name_;
    std::string_view in_;
    std::uint64_t consumed_ = 0;
};

/// The value of accept-encoding for the codings that are built in: "gzip, deflate, br, zstd".
std::string_view accept_encoding() noexcept;

}  // namespace http
}  // namespace v0
}  // namespace rondo
