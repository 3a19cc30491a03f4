// SPDX-License-Identifier: MIT
// permessage-deflate (RFC 7692): what two sides agree on, and the compression of messages.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <rondo/config.hpp>

struct z_stream_s;

namespace rondo {
inline namespace v0 {
namespace http {
namespace ws {

/// The terms that both sides agreed on, from the view of one.
struct deflate_terms {
    bool is_on = false;
    bool sends_in_context = false;     // each message is compressed against those before it
    bool receives_in_context = false;  // and the peer's
    int window_bits = 15;              // of what is sent
};

/// True if the library was built with zlib.
bool has_deflate() noexcept;

/// The client's offer, for sec-websocket-extensions.
std::string deflate_offer(bool in_context);
/// The server's choice among the offers of a client. `answer` becomes the field's value; it stays
/// empty if no offer can be taken.
deflate_terms take_offer(std::string_view offers, bool in_context, std::string& answer);
/// The client's reading of the server's answer. Nothing if it is not one to deflate_offer().
std::optional<deflate_terms> read_answer(std::string_view answer, bool in_context);

/// Frees the state of zlib.
struct inflate_end {
    void operator()(z_stream_s* stream) const noexcept;
};
struct deflate_end {
    void operator()(z_stream_s* stream) const noexcept;
};

/// Decompresses messages, piece by piece. It never makes more than the limit and a few bytes,
/// whatever the input expands to. Between messages without a common context it holds no memory.
class inflater {
public:
    enum class result { good, broken, too_long };
    explicit inflater(bool in_context) noexcept : in_context_(in_context) {}
    /// Appends to `to`, which may become as long as `limit`.
    result add(std::string_view piece, std::string& to, std::size_t limit);
    /// Ends the message.
    result end(std::string& to, std::size_t limit);
    bool holds_memory() const noexcept { return stream_ != nullptr; }

private:
    std::unique_ptr<z_stream_s, inflate_end> stream_;
    bool in_context_;
};

/// Compresses messages. Those without a common context share one state in each thread, or have one
/// for each message if the peer wants a smaller window. Between them nothing is held.
class deflater {
public:
    deflater(bool in_context, int window_bits) noexcept
        : in_context_(in_context), window_bits_(window_bits) {}
    /// Throws: std::bad_alloc; then as forget().
    std::string compressed(std::string_view message);
    /// The last message will not be sent: the next one refers to none before it.
    void forget() noexcept { stream_.reset(); }
    bool holds_memory() const noexcept { return stream_ != nullptr; }

private:
    std::unique_ptr<z_stream_s, deflate_end> stream_;
    bool in_context_;
    int window_bits_;
};

}  // namespace ws
}  // namespace http
}  // namespace v0
}  // namespace rondo
