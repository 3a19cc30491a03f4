// SPDX-License-Identifier: MIT
// TCP: connections, and the socket that accepts them.
//
// See listener.hpp for how connections are accepted, and unix.hpp for the same within one machine.
#pragma once

#include <type_traits>
#include <utility>

#include <rondo/endpoint.hpp>
#include <rondo/listener.hpp>
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

    /// Closes it at once, and tells the peer that it was not a good end (RST): whatever has not been
    /// read or sent yet is dropped. Waits on it end with ECANCELED.
    /// See: SO_LINGER in socket(7), asyncio WriteTransport.abort.
    void abort() noexcept;

    /// TCP_NODELAY: small writes go at once, which is how connections of rondo are made.
    /// Throws: std::system_error, this and the next ones.
    void set_no_delay(bool on);
    /// A peer that has been silent for `idle` is asked whether it is there, again each `interval`,
    /// and given up after `count` times. Whole seconds. Zero `idle` switches it off.
    void set_keep_alive(detail::time_limit idle, detail::time_limit interval = std::chrono::seconds(1), int count = 9);
    /// For whatever has no name here: setsockopt(2), getsockopt(2).
    void set_option(int level, int name, int value);
    int get_option(int level, int name) const;

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
    bool ipv6_only = false;   ///< a socket of "::" does not take IPv4 as well
    bool reuse_port = false;  ///< several listeners on one port; the kernel spreads the connections
    bool reuse_address = true;  ///< do not wait for connections of a former listener to fade away
    bool no_delay = true;       ///< TCP_NODELAY, which accepted connections inherit
};
static_assert(std::is_trivially_destructible_v<listen_options>);

/// Accepts TCP connections. Move-only; the destructor closes it, and with it what nobody has
/// accepted.
/// Thread: its loop's. Made outside of any loop, it belongs to the loop that first accepts on it.
/// See:    asyncio.start_server, and `serve`.
class RONDO_API tcp_listener {
public:
    /// Port 0 lets the kernel choose: see `local`.
    /// Throws: std::system_error: "bind 127.0.0.1:7007: Address already in use".
    static tcp_listener bind(const endpoint& where, listen_options options = {});

    /// The next connection. Several may wait, first come first served. Without descriptors or
    /// memory it waits and tries again, for a connection that cannot be taken now stays with the
    /// kernel.
    /// Throws: std::system_error; ECANCELED where the listener is closed meanwhile.
    /// Cancel: nothing lost: a connection that was meant for this wait goes to the next one.
    /// See:    accept(2).
    task<tcp_stream> accept();

    /// Where it listens, with the port that the kernel chose.
    endpoint local() const noexcept { return listening_.local(); }
    bool is_open() const noexcept { return listening_.is_open(); }
    explicit operator bool() const noexcept { return is_open(); }

    /// As byte_stream::close.
    detail::closing close() noexcept { return listening_.close(); }

private:
    explicit tcp_listener(detail::listening listening) noexcept
        : listening_(std::move(listening)) {}
    detail::listening listening_;
};

}  // namespace v0
}  // namespace rondo
