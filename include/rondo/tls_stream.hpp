// SPDX-License-Identifier: MIT
// A stream of bytes that TLS protects, over any other stream: TCP, Unix, memory, one of your own.
//
//     auto peer = co_await rondo::connect_tls("example.org", 443);
//     co_await peer.write_all("GET / HTTP/1.0\r\n\r\n");
//     std::string page = co_await peer.read_all();
//     co_await peer.close();
//
// It reads and writes as byte_stream does, in both directions at once if two tasks want that. The
// end of the stream is the peer's close_notify. If the connection ends without one, the read throws
// tls_truncated_error.
//
// The handshake of connect_tls and start_tls is over when they return. A stream that a tls_listener
// has accepted makes it with its first read or write, or by `handshake`. So accepting never waits
// for a slow peer.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <rondo/connect.hpp>
#include <rondo/detail/tls/transport.hpp>
#include <rondo/tls_context.hpp>

namespace rondo {
inline namespace v0 {

/// Options of start_tls and of a tls_listener.
struct tls_options {
    detail::time_limit handshake = std::chrono::seconds(10);  ///< limit of the handshake
    /// "h2,http/1.1". Client: instead of the names in the context. Server: if the context has none;
    /// a client that offers others only is accepted then, without an agreement.
    std::string_view alpn{};
};
static_assert(std::is_trivially_destructible_v<tls_options>);

/// Options of connect_tls.
struct connect_tls_options {
    detail::time_limit timeout = duration::max();  ///< for everything
    detail::time_limit handshake = std::chrono::seconds(10);
    std::string_view alpn{};    ///< as tls_options::alpn
    connect_options connect{};  ///< of the TCP connection
};
static_assert(std::is_trivially_destructible_v<connect_tls_options>);

namespace detail {
struct tls_connection;
using tls_shared = std::shared_ptr<tls_connection>;

RONDO_API tls_shared make_tls_client(std::unique_ptr<tls_transport> transport,
                                     const tls::client_context& context, std::string host,
                                     tls_options options);
RONDO_API tls_shared make_tls_server(std::unique_ptr<tls_transport> transport,
                                     const tls::server_context& context, tls_options options);
RONDO_API task<> write_tls(tls_shared connection, const const_buffer* parts, std::size_t count);

template <std::size_t Count>
task<> write_tls_parts(tls_shared connection, std::array<const_buffer, Count> parts) {
    co_await write_tls(std::move(connection), parts.data(), Count);
}
}  // namespace detail

/// Result of tls_stream::close: may be ignored, or awaited.
class RONDO_API tls_closing : detail::only_in_tasks {
public:
    explicit tls_closing(detail::tls_shared connection) noexcept
        : connection_(std::move(connection)) {}
    tls_closing(tls_closing&&) noexcept = default;
    ~tls_closing();
    detail::task_awaiter<void> rondo_awaiter() &&;

private:
    detail::tls_shared connection_;
};

/// A stream of bytes over TLS. Move-only; one reader and one writer at a time.
///
/// The destructor sends a close_notify if nothing has failed on the stream, as far as that needs no
/// waiting, and closes the connection. It cannot know whether you were done: if the end of the
/// stream means the end of the message, `abort` in case of an error. `serve` does that.
/// Thread: its loop's thread.
/// See:    byte_stream; asyncio.StreamReader and StreamWriter with ssl, ssl.SSLSocket.
class RONDO_API tls_stream {
public:
    static constexpr std::size_t line_limit = byte_stream::line_limit;
    static constexpr std::size_t all_limit = byte_stream::all_limit;

    /// An empty stream, which is not open.
    tls_stream() noexcept = default;
    tls_stream(tls_stream&&) noexcept = default;
    tls_stream& operator=(tls_stream&& other) noexcept {
        tls_stream old(std::move(other));
        connection_.swap(old.connection_);
        return *this;
    }
    ~tls_stream();

    /// Makes the handshake, if it has not been made. Not needed, except to ask for `alpn` and the
    /// like before the first read or write.
    /// Throws: tls_error, tls_certificate_error; timeout_error after the limit of 10 s;
    ///         std::system_error. Later calls throw the same error.
    /// Cancel: the connection is closed, since a handshake cannot be continued.
    task<> handshake();

    /// As byte_stream::read_some.
    /// Throws: tls_truncated_error if the connection ended without the peer's close_notify;
    ///         tls_error; otherwise as byte_stream::read_some. All errors of TLS stay.
    /// Cancel: no byte is lost.
    task<chunk> read_some(buffer_view into);
    /// As the functions of byte_stream. None loses a byte if it is cancelled.
    /// Throws: as read_some; limit_error; incomplete_read_error.
    task<std::optional<std::string>> read_line(std::size_t limit = line_limit);
    task<std::string> read_until(std::string separator, std::size_t limit = line_limit);
    task<> read_exactly(buffer_view into);
    task<std::string> read_exactly(std::size_t size);
    task<std::string> read_all(std::size_t limit = all_limit);
    task<std::string_view> peek(std::size_t least = 1);
    void unread(const_buffer bytes);

    /// Writes all of `data`, which is borrowed until the await has ended.
    /// Throws: write_error, which says how many bytes were sent; tls_error; closed_error;
    ///         invalid_state_error if another task writes, or if an earlier write was cut short.
    /// Cancel: nothing was sent, or the stream refuses further writes.
    task<> write_all(const_buffer data);
    /// Writes several buffers, one after the other; small ones share a record.
    template <class... Parts>
        requires(sizeof...(Parts) > 1 && (std::is_constructible_v<const_buffer, Parts&> && ...))
    task<> write_all(Parts&&... parts) {
        return detail::write_tls_parts<sizeof...(Parts)>(connection(), {const_buffer(parts)...});
    }
    /// Ends the writing direction with a close_notify; reading goes on.
    /// Throws: as write_all.
    /// Cancel: as write_all.
    task<> shutdown_write();

    /// Closes the stream; waits on it end with ECANCELED. If the result is awaited: sends a
    /// close_notify, waits at most 1 s for the peer's, and then until the connection is closed. If
    /// it is ignored: as the destructor.
    /// Throws: if awaited: std::system_error of close(2).
    /// Cancel: closes at once.
    /// See:    RFC 8446, section 6.1.
    tls_closing close() noexcept;
    /// Closes the connection without a close_notify: the peer's read throws, or whatever it does
    /// with a connection that was cut.
    void abort() noexcept;
    bool is_open() const noexcept;
    explicit operator bool() const noexcept { return is_open(); }
    /// As byte_stream::is_quiet: a read would wait, and the handshake has been made.
    bool is_quiet() noexcept;

    // -- known after the handshake ---------------------------------------------------------------
    /// The protocol that both sides agreed on: "h2"; empty if there was no agreement.
    std::string_view alpn() const noexcept;
    tls::version version() const noexcept;
    /// "TLS_AES_256_GCM_SHA384"
    std::string_view cipher() const noexcept;
    /// True if the handshake resumed an earlier session.
    bool resumed() const noexcept;
    /// On the server: the name that the client asked for (SNI). On the client: the name that was
    /// sent. Empty if there was none.
    std::string_view server_name() const noexcept;
    /// The peer's certificate; empty if it showed none. A server verified it only if its context
    /// asks for client certificates.
    std::optional<tls::certificate> peer_certificate() const;

    /// The peer, for texts: "localhost:8443", or its address.
    std::string_view peer_name() const noexcept;
    /// As those of the transport; no address if it has none.
    endpoint local() const;
    endpoint remote() const;

    // -- for tls_listener, start_tls and serve ---------------------------------------------------
    explicit tls_stream(detail::tls_shared connection) noexcept
        : connection_(std::move(connection)) {}

    /// The part of `serve` that is TLS's: the handshake before the handler, and after a handler
    /// that returned the close_notify. After a handler that threw, the connection is cut. A peer
    /// that leaves during the handshake has tried whether the port is open, or has changed its
    /// mind, as browsers do: the handler does not run, and nothing is reported.
    template <class Handler>
    static task<> serve_with(Handler& handler, tls_stream stream) {
        const bool spoke = co_await stream.is_spoken_to();
        if (!spoke) co_return;
        keeper after(stream.connection());
        co_await handler(std::move(stream));
        co_await after.finish();
    }

private:
    /// Takes over what the destructor of the stream would do.
    class RONDO_API keeper {
    public:
        explicit keeper(detail::tls_shared connection) noexcept;
        keeper(const keeper&) = delete;
        keeper& operator=(const keeper&) = delete;
        ~keeper();
        task<> finish();

    private:
        detail::tls_shared connection_;
    };

    /// Makes the handshake. Returns: false if the peer left before its end.
    task<bool> is_spoken_to();
    const detail::tls_shared& connection() const noexcept {
        RONDO_ASSERT(connection_, "this stream is empty: it was moved from or never opened");
        return connection_;
    }

    detail::tls_shared connection_;
};

namespace detail {
template <class S>
std::unique_ptr<tls_transport> make_transport(S stream) {
    check_nothing_ahead(stream);
    return std::make_unique<stream_transport<S>>(std::move(stream));
}
RONDO_API task<tls_stream> start_made_tls(tls_shared connection);
}  // namespace detail

/// Begins TLS as a client on a stream that is connected: after STARTTLS, through a proxy, over a
/// Unix socket. `host` is the name to send and to verify; a name that the context has wins.
/// Throws: tls_certificate_error, tls_error; timeout_error; std::system_error;
///         invalid_state_error if the stream holds bytes that were received ahead, or if there is
///         no name to verify. The stream is closed then.
/// Cancel: closes the stream.
/// See:    asyncio loop.start_tls, ssl.SSLContext.wrap_socket.
template <duplex_stream S>
task<tls_stream> start_tls(S stream, tls::client_context context, std::string host = {},
                           tls_options options = {}) {
    return detail::start_made_tls(detail::make_tls_client(
        detail::make_transport(std::move(stream)), context, std::move(host), options));
}

/// Begins TLS as a server on a stream that is connected.
/// Throws: as the client's start_tls.
/// Cancel: closes the stream.
template <duplex_stream S>
task<tls_stream> start_tls(S stream, tls::server_context context, tls_options options = {}) {
    return detail::start_made_tls(detail::make_tls_server(
        detail::make_transport(std::move(stream)), context, options));
}

/// Connects over TCP, and makes the handshake. The certificate must be valid for `host`, a name or
/// an IP address.
/// Throws: as connect_tcp and start_tls; timeout_error: "handshake example.org:443: timed out after
///         10s".
/// Cancel: gives it up and closes the connection.
/// See:    asyncio.open_connection(ssl=True).
RONDO_API task<tls_stream> connect_tls(std::string host, std::uint16_t port,
                                       tls::client_context context = {},
                                       connect_tls_options options = {});
inline task<tls_stream> connect_tls(std::string host, std::uint16_t port,
                                    connect_tls_options options) {
    return connect_tls(std::move(host), port, tls::client_context(), options);
}

}  // namespace v0
}  // namespace rondo
