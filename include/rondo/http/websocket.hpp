// SPDX-License-Identifier: MIT
// WebSocket, both sides (RFC 6455), with compression (RFC 7692):
//
//     rondo::task<> echo(http::websocket peer) {                       // the server's side
//         while (auto message = co_await peer.next()) co_await peer.send_text(message->text());
//     }
//     site.websocket("/echo", echo);
//
//     auto socket = co_await web.websocket("wss://example.org/echo");  // the client's side
//     co_await socket.send_text("hello");
//     auto answer = co_await socket.next();
//     co_await socket.close();
//
// A message is text in UTF-8 or bytes. Pings, pongs, fragments and the two halves of a close are
// looked after, also while no task waits in next(). docs/websocket.md has the limits.
//
// Needs wslay (libwslay-dev) when rondo is built; compression needs zlib.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <rondo/buffer.hpp>
#include <rondo/config.hpp>
#include <rondo/http/error.hpp>
#include <rondo/task.hpp>

namespace rondo {
inline namespace v0 {
class endpoint;
namespace http {
class request_builder;
}
namespace detail {
class websocket_core;
struct websocket_wish;
}  // namespace detail
namespace http {

/// Options of both sides. A limit of time of zero means none.
struct websocket_options {
    /// Of the longest message that is taken, after decompression.
    std::size_t message_bytes = std::size_t{16} * 1024 * 1024;
    /// After so long without a byte from the peer it is sent a ping.
    detail::time_limit ping_after = std::chrono::seconds(20);
    /// After so long without a byte behind the ping the connection counts as lost.
    detail::time_limit ping_limit = std::chrono::seconds(20);
    /// After so long the peer must have taken a piece of up to 128 KiB, or it counts as lost.
    detail::time_limit write_limit = std::chrono::seconds(60);
    /// Offers permessage-deflate, or accepts it.
    bool compression = true;
    /// Lets a message be compressed against those before it. Short messages become much smaller,
    /// and each connection holds about 300 KiB.
    bool context_takeover = false;
    std::size_t compress_from = 256;  ///< bytes of the shortest message that is compressed

    // -- of a server: router::websocket ----------------------------------------------------------
    /// Origins of pages that may connect: "https://a.example, https://b.example", or "*" for all.
    /// Empty: the site's own. Clients that are no browsers send no origin and are let in.
    std::string_view origins{};
    /// Subprotocols that the server speaks, the one that it prefers first: "chat.v2, chat.v1".
    std::string_view subprotocols{};
};
static_assert(std::is_trivially_destructible_v<websocket_options>);

/// The end of a WebSocket that is not a normal one: the peer closed it with an error code, broke
/// the rules, sent a message that is too long, was silent or took nothing for too long, or the
/// connection was lost.
class RONDO_API websocket_error : public error {
public:
    websocket_error(int code, const std::string& what);
    ~websocket_error() override;

    /// The code of RFC 6455, section 7.4: that of the peer's close frame, or of ours if the peer
    /// broke the rules (1002, 1007, 1009); 1006 if the connection was lost.
    int code() const noexcept { return code_; }

private:
    int code_;
};

/// A message.
class RONDO_API websocket_message {
public:
    websocket_message(bool is_text, std::string bytes) noexcept
        : bytes_(std::move(bytes)), is_text_(is_text) {}

    bool is_text() const noexcept { return is_text_; }
    /// The text, which is UTF-8.
    /// Throws: http::error if the message is binary.
    const std::string& text() const& {
        check_text();
        return bytes_;
    }
    std::string text() && {
        check_text();
        return std::move(bytes_);
    }
    /// The bytes of a message of either kind.
    const std::string& bytes() const& noexcept { return bytes_; }
    std::string bytes() && noexcept { return std::move(bytes_); }

private:
    void check_text() const;

    std::string bytes_;
    bool is_text_;
};

/// A WebSocket, of a client or of a server's handler. Move-only. Several tasks may send, and others
/// may wait for messages meanwhile.
/// Thread: its loop's.
/// See:    websockets.connect, aiohttp.ClientWebSocketResponse, tokio-tungstenite.
class RONDO_API websocket {
public:
    using message = websocket_message;

    websocket(websocket&&) noexcept;
    websocket& operator=(websocket&&) noexcept;
    /// Closes it with 1000 if that was not done; the other half of the close has a second's time
    /// and is not waited for.
    ~websocket();

    /// Waits for the next message.
    /// Returns: nothing if the peer has closed normally (1000, 1001 or without a code), or after
    ///          close().
    /// Throws:  websocket_error, after the messages that came before.
    /// Cancel:  no message is lost.
    task<std::optional<message>> next();

    /// Sends a message. It waits while the peer takes nothing; messages of several tasks go in the
    /// order of the calls, each as a whole. `text` is borrowed until the await has ended.
    /// Throws: http::error for a text that is no UTF-8; closed_error after close();
    ///         websocket_error if the peer has closed, the connection was lost or the server ends.
    /// Cancel: the message is sent as a whole or not at all. The socket stays usable.
    task<> send_text(std::string_view text);
    /// The same for bytes.
    task<> send_binary(const_buffer bytes);

    /// Closes it: sends what is being sent, then a close frame with `code` and `reason`, and waits
    /// for the peer's, at most a second. Messages that come meanwhile are dropped. A socket that is
    /// closed, or whose peer is gone, is no error.
    /// Throws: http::error for a code that must not be sent (only 1000 to 1003, 1007 to 1014 and
    ///         3000 to 4999 may be), or a reason that is no UTF-8 or longer than 123 bytes.
    /// Cancel: the connection is cut.
    task<> close(int code = 1000, std::string_view reason = {});
    /// Waits until the connection has ended, for whatever reason: for a task that only sends, as
    /// in `race(push(socket), socket.closed())`.
    task<> closed();

    /// False once either side has begun to close, or the connection is lost.
    bool is_open() const noexcept;
    /// The subprotocol that was agreed on; empty if there is none.
    const std::string& subprotocol() const noexcept;
    /// The code of the peer's close frame; 1005 if it has none, 1006 if the connection was lost
    /// without one, 0 as long as it is open.
    int close_code() const noexcept;
    /// The reason in the peer's close frame.
    const std::string& close_reason() const noexcept;
    /// True if messages may be sent compressed.
    bool is_compressed() const noexcept;

    explicit websocket(std::shared_ptr<detail::websocket_core> core) noexcept;

private:
    detail::websocket_core& core() const noexcept;

    std::shared_ptr<detail::websocket_core> core_;
};

/// The opening of a WebSocket: `session::websocket` makes one, its setters complete it, and
/// awaiting it connects. The session's header fields, cookies, TLS, proxy, middleware and limits of
/// time hold here too. Redirects are not followed.
/// Thread: its session's.
class RONDO_API websocket_builder {
public:
    /// For the session: `request` is the GET.
    explicit websocket_builder(request_builder request);
    websocket_builder(const websocket_builder&);
    websocket_builder(websocket_builder&&) noexcept;
    websocket_builder& operator=(websocket_builder) noexcept;
    ~websocket_builder();

    /// The following are those of request_builder.
    websocket_builder& header(std::string_view name, std::string_view value);
    websocket_builder& query(std::string_view name, std::string_view value);
    websocket_builder& basic_auth(std::string_view user, std::string_view password);
    websocket_builder& bearer(std::string_view token);
    websocket_builder& digest_auth(std::string_view user, std::string_view password);
    websocket_builder& timeout(detail::time_limit total);  ///< of the opening
    websocket_builder& proxy(std::string_view url);
    websocket_builder& resolve_to(const endpoint& address);

    /// Offers a subprotocol. It repeats; the one that is preferred comes first.
    /// Throws: http::error if it is no token.
    websocket_builder& subprotocol(std::string_view name);
    /// The origin that a browser would send: "https://example.org".
    websocket_builder& origin(std::string_view value);
    websocket_builder& options(websocket_options options);

    /// Connects.
    /// Throws: status_error for an answer other than 101, redirects included; protocol_error for
    ///         one that is no WebSocket's; otherwise as request_builder::send.
    /// Cancel: gives it up, and closes the connection.
    task<websocket> open() const&;
    task<websocket> open() &&;

    detail::task_awaiter<websocket> rondo_awaiter() const&;
    detail::task_awaiter<websocket> rondo_awaiter() &&;

private:
    task<websocket> open_now();
    static task<websocket> open_by(std::unique_ptr<detail::websocket_wish> wish);

    std::unique_ptr<detail::websocket_wish> wish_;
};

}  // namespace http
}  // namespace v0
}  // namespace rondo
