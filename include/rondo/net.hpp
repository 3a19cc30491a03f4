// SPDX-License-Identifier: MIT
// TCP: connections, and the socket that accepts them.
//
// A listener keeps one accept in flight, one that goes on by itself where the kernel has that, and
// hands connections to its waiters in order. What comes while nobody waits is kept, up to a bound,
// behind which the backlog of the kernel does its work again.
#pragma once

#include <type_traits>
#include <utility>

#include <rondo/endpoint.hpp>
#include <rondo/stream.hpp>

namespace rondo {
inline namespace v0 {

/// A TCP connection: see byte_stream for reading and writing.
/// See: connect_tcp (dns.hpp), tcp_listener.
class RONDO_API tcp_stream : public byte_stream {
public:
    /// Not open.
    tcp_stream() noexcept = default;
    /// Of a connected socket. `peer` saves asking for it.
    explicit tcp_stream(descriptor socket, const endpoint& peer = {});

    /// Says that nothing more will be written; reading goes on. The peer reads the end of the
    /// stream.
    /// Throws: std::system_error.
    /// See:    shutdown(2), asyncio StreamWriter.write_eof.
    operation<void> shutdown_write();

    /// Throws: std::system_error where it is closed.
    endpoint local() const;
    /// The other side. Asked for when first needed.
    /// Throws: std::system_error where it was closed before it was ever asked for.
    endpoint remote() const;
};

/// How a listener is made.
struct listen_options {
    int backlog =
        4096;  ///< connections that the kernel holds for us; it has a limit of its own (somaxconn)
    bool reuse_port = false;  ///< several listeners on one port; the kernel spreads the connections
    bool reuse_address = true;  ///< do not wait for connections of a former listener to fade away
    bool no_delay = true;       ///< TCP_NODELAY, which accepted connections inherit
};
static_assert(std::is_trivially_destructible_v<listen_options>);

namespace detail {
struct listener_state;
}

/// Accepts TCP connections. Move-only; the destructor closes it, and with it what nobody has
/// accepted.
/// Thread: its loop's. Made outside of any loop, it belongs to the loop that first accepts on it.
/// See:    asyncio.start_server, and `serve`.
class RONDO_API tcp_listener {
public:
    /// Port 0 lets the kernel choose: see `local`.
    /// Throws: std::system_error: "bind 127.0.0.1:7007: Address already in use".
    static tcp_listener bind(const endpoint& where, listen_options options = {});

    tcp_listener(tcp_listener&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
    tcp_listener& operator=(tcp_listener&& other) noexcept {
        std::swap(state_, other.state_);
        return *this;
    }
    ~tcp_listener();

    /// The next connection. Several may wait, first come first served. Without descriptors or
    /// memory it waits and tries again, for a connection that cannot be taken now stays with the
    /// kernel.
    /// Throws: std::system_error; ECANCELED where the listener is closed meanwhile.
    /// Cancel: nothing lost: a connection that was meant for this wait goes to the next one.
    /// See:    accept(2).
    task<tcp_stream> accept();

    /// Where it listens, with the port that the kernel chose.
    endpoint local() const noexcept;
    bool is_open() const noexcept;
    explicit operator bool() const noexcept { return is_open(); }

    /// As byte_stream::close.
    detail::closing close() noexcept;

private:
    explicit tcp_listener(detail::listener_state* state) noexcept : state_(state) {}
    detail::listener_state* state_;
};

}  // namespace v0
}  // namespace rondo
