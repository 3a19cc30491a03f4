// SPDX-License-Identifier: MIT
// Unix sockets: streams within one machine, by a path, by an abstract name, or as an unnamed pair.
// A stream tells which process its peer is, and can carry open descriptors.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <rondo/endpoint.hpp>
#include <rondo/listener.hpp>
#include <rondo/stream.hpp>

namespace rondo {
inline namespace v0 {

/// Identity of a process.
struct credentials {
    int pid = 0;
    unsigned uid = 0;
    unsigned gid = 0;
};
static_assert(std::is_trivially_destructible_v<credentials>);

/// Bytes, and the descriptors that came with them.
class received_descriptors {
public:
    chunk data;  ///< in the caller's buffer; false at the end of the stream
    std::vector<descriptor> descriptors;

    received_descriptors() = default;
    explicit operator bool() const noexcept { return static_cast<bool>(data); }
};

/// A connection between two processes of one machine. See byte_stream for reading and writing.
/// See: connect_unix, unix_listener, socket_pair; unix(7).
class RONDO_API unix_stream : public byte_stream {
public:
    /// An empty stream, which is not open.
    unix_stream() noexcept = default;
    /// From a connected socket.
    explicit unix_stream(descriptor socket);

    /// As tcp_stream::shutdown_write.
    operation<void> shutdown_write();

    /// The process that connected, or that listened, as it was at that moment.
    /// Throws: std::system_error.
    /// See:    SO_PEERCRED in unix(7).
    credentials peer_credentials() const;

    /// Sends at least one byte, and with the first byte 1 to 253 open descriptors. They stay open
    /// here; the receiver gets new numbers for the same open files.
    /// Throws: as write_all; std::invalid_argument for no byte, no descriptor, or too many.
    /// Cancel: nothing was sent, or all descriptors and a part of the bytes. In the latter case the
    ///         stream refuses further writes.
    /// See:    SCM_RIGHTS in unix(7), Python's socket.send_fds.
    task<> send_descriptors(const_buffer data, std::span<const int> numbers);
    /// Reads bytes, and the descriptors that came with them, which are close-on-exec. All other
    /// reads drop descriptors.
    /// Throws: as read_some; limit_error if more than `descriptors_max` came, and EMFILE if no
    ///         number was free: then all of them are closed, and the bytes stay for the next read.
    ///         invalid_state_error after a read_view, which receives ahead.
    /// Cancel: as read_some.
    /// See:    SCM_RIGHTS in unix(7), Python's socket.recv_fds.
    task<received_descriptors> receive_descriptors(buffer_view into,
                                                   std::size_t descriptors_max = 253);

    /// This side's address, and the peer's.
    /// Throws: std::system_error if the stream is closed.
    /// See:    getsockname(2), getpeername(2).
    endpoint local() const;
    endpoint remote() const;
};

/// Options of unix_listener::bind.
struct unix_listen_options {
    int backlog = 4096;
    bool replace_stale = false;   ///< replace a socket file at which no process listens any more
    bool remove_at_close = true;  ///< remove the file with the listener, if it is still its file
    unsigned permissions = 0;     ///< of the file; 0: as the umask says
};
static_assert(std::is_trivially_destructible_v<unix_listen_options>);

/// A listening Unix socket; see tcp_listener.
class RONDO_API unix_listener {
public:
    /// Listens at `where`. If bind fails, a file that it has made is removed.
    /// Throws: std::system_error: "bind unix:/run/app: Address already in use".
    /// See:    bind(2), listen(2).
    static unix_listener bind(const endpoint& where, unix_listen_options options = {});
    /// Listens at a path.
    static unix_listener bind(std::string_view path, unix_listen_options options = {}) {
        return bind(endpoint::unix_path(path), options);
    }
    /// As tcp_listener::adopt. The socket's file is removed by the listener that made it.
    static unix_listener adopt(descriptor listening);
    static unix_listener adopt(int number) {
        return adopt(descriptor::adopt(number, "unix listener"));
    }

    /// As tcp_listener::accept.
    task<unix_stream> accept();
    /// As tcp_listener::report_shortages.
    void report_shortages() noexcept { listener_.report_shortages(); }
    endpoint local() const noexcept { return listener_.local(); }
    /// As tcp_listener::number.
    int number() const noexcept { return listener_.number(); }
    bool is_open() const noexcept { return listener_.is_open(); }
    explicit operator bool() const noexcept { return is_open(); }
    detail::closing close() noexcept { return listener_.close(); }

private:
    explicit unix_listener(detail::socket_listener listener) noexcept
        : listener_(std::move(listener)) {}
    detail::socket_listener listener_;
};

/// Options of connect_unix.
struct unix_connect_options {
    detail::time_limit timeout = duration::max();
};

/// Connects to a Unix socket.
/// Throws: std::system_error: "connect unix:/run/app: Connection refused"; timeout_error.
/// Cancel: as connect_tcp.
/// See:    connect(2), asyncio.open_unix_connection.
RONDO_API task<unix_stream> connect_unix(endpoint where, unix_connect_options options = {});
/// Connects to a path.
inline task<unix_stream> connect_unix(std::string_view path, unix_connect_options options = {}) {
    return connect_unix(endpoint::unix_path(path), options);
}

/// Makes two streams that are each other's peer.
/// Throws: std::system_error.
/// See:    socketpair(2).
RONDO_API std::pair<unix_stream, unix_stream> socket_pair();

}  // namespace v0
}  // namespace rondo
