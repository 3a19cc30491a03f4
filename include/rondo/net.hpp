// SPDX-License-Identifier: MIT
// TCP: connections, and the listening socket that accepts them.
//
// See listener.hpp for how connections are accepted, connect.hpp for how they are made, and
// unix.hpp for connections within one machine.
#pragma once

#include <type_traits>
#include <utility>

#include <rondo/endpoint.hpp>
#include <rondo/listener.hpp>
#include <rondo/stream.hpp>

namespace rondo {
inline namespace v0 {

/// A TCP connection. See byte_stream for reading and writing.
/// See: connect_tcp (connect.hpp), tcp_listener; tcp(7).
class RONDO_API tcp_stream : public byte_stream {
public:
    /// An empty stream, which is not open.
    tcp_stream() noexcept = default;
    /// From a connected socket. If `peer` is given, the kernel need not be asked for it.
    explicit tcp_stream(descriptor socket, const endpoint& peer = {});

    /// Ends the writing direction; reading goes on. The peer reads the end of the stream.
    /// Throws: std::system_error.
    /// Cancel: done, or not done.
    /// See:    shutdown(2), asyncio StreamWriter.write_eof.
    operation<void> shutdown_write();

    /// Closes the connection at once and resets it (RST), so that the peer does not take it for a
    /// normal end. Bytes that were not read or sent yet are dropped. Waits on it end with
    /// ECANCELED.
    /// See: SO_LINGER in socket(7), asyncio WriteTransport.abort.
    void abort() noexcept;

    /// TCP_NODELAY: small writes are sent at once. Connections made by rondo have it set.
    /// Throws: std::system_error.
    /// See:    tcp(7).
    void set_no_delay(bool on);
    /// Probes a peer that has been silent for `idle`, again after each `interval`, and gives it up
    /// after `count` probes without an answer. Whole seconds, rounded up. A zero `idle` switches
    /// the probes off.
    /// Throws: std::system_error.
    /// See:    SO_KEEPALIVE in socket(7), TCP_KEEPIDLE in tcp(7).
    void set_keep_alive(detail::time_limit idle,
                        detail::time_limit interval = std::chrono::seconds(1), int count = 9);
    /// Sets or reads an option that has no function here.
    /// Throws: std::system_error.
    /// See:    setsockopt(2), getsockopt(2).
    void set_option(int level, int name, int value);
    int get_option(int level, int name) const;

    /// This side's address.
    /// Throws: std::system_error if the stream is closed.
    /// See:    getsockname(2).
    endpoint local() const;
    /// The peer's address. The kernel is asked on first use.
    /// Throws: std::system_error if the stream was closed before the first use.
    /// See:    getpeername(2).
    endpoint remote() const;
};

/// Options of tcp_listener::bind.
struct listen_options {
    int backlog = 4096;  ///< connections that the kernel queues; its own limit is somaxconn
    bool ipv6_only = false;   ///< a socket bound to "::" does not take IPv4 as well
    bool reuse_port = false;  ///< several listeners on one port; the kernel spreads the connections
    bool reuse_address = true;  ///< bind although connections of a former listener linger
    bool no_delay = true;       ///< TCP_NODELAY, which accepted connections inherit
};
static_assert(std::is_trivially_destructible_v<listen_options>);

/// A listening TCP socket. Move-only; the destructor closes it, and with it the connections that
/// were not accepted.
/// Thread: its loop's thread. Made outside of any loop, it belongs to the first loop that accepts.
/// See:    asyncio.start_server, and `serve`.
class RONDO_API tcp_listener {
public:
    /// Listens at `where`. With port 0 the kernel chooses a port: see `local`.
    /// Throws: std::system_error: "bind 127.0.0.1:7007: Address already in use".
    /// See:    bind(2), listen(2).
    static tcp_listener bind(const endpoint& where, listen_options options = {});
    /// Takes over a socket that listens already: inherited from another process, received, or made
    /// by other code. Several processes may accept from one socket; each connection goes to one of
    /// them. The listener takes a connection from the kernel only while a task waits in `accept`:
    /// a process that ends takes none along but one that came at that very moment.
    /// Throws: std::system_error; error if it is not a TCP socket that listens. It is closed then.
    static tcp_listener adopt(descriptor listening);
    static tcp_listener adopt(int number) {
        return adopt(descriptor::adopt(number, "tcp listener"));
    }

    /// Waits for the next connection. Several tasks may wait; they are served first come, first
    /// served. If descriptors or memory are short, it waits and tries again: connections that
    /// cannot be taken now stay in the kernel's queue.
    /// Throws: std::system_error; ECANCELED if the listener is closed meanwhile.
    /// Cancel: no connection is lost: one that was meant for this wait goes to the next one.
    /// See:    accept(2).
    task<tcp_stream> accept();

    /// From now on a lasting shortage of descriptors or memory is reported to the loop's exception
    /// handler, once per shortage. `serve` calls this.
    void report_shortages() noexcept { listener_.report_shortages(); }

    /// The address it listens at, with the port that the kernel chose.
    endpoint local() const noexcept { return listener_.local(); }
    /// The descriptor's number, or -1: for `command::keep`, start_process, or to be sent through an
    /// ipc_channel. Another process may accept from then on, so this listener becomes as careful as
    /// an adopted one.
    int number() const noexcept { return listener_.number(); }
    bool is_open() const noexcept { return listener_.is_open(); }
    explicit operator bool() const noexcept { return is_open(); }

    /// As byte_stream::close.
    detail::closing close() noexcept { return listener_.close(); }

private:
    explicit tcp_listener(detail::socket_listener listener) noexcept
        : listener_(std::move(listener)) {}
    detail::socket_listener listener_;
};

}  // namespace v0
}  // namespace rondo
