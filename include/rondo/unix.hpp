// SPDX-License-Identifier: MIT
// Unix sockets: streams within one machine, by a path, by an abstract name, or as a pair without
// any. They know who is on the other side, and open descriptors can be sent through them.
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

/// Who a process is.
struct credentials {
    int pid = 0;
    unsigned uid = 0;
    unsigned gid = 0;
};
static_assert(std::is_trivially_destructible_v<credentials>);

/// Bytes, and what came with them.
class received_descriptors {
public:
    chunk data;  ///< in the caller's buffer; false at the end of the stream
    std::vector<descriptor> descriptors;

    received_descriptors() = default;
    explicit operator bool() const noexcept { return static_cast<bool>(data); }
};

/// A connection between two processes of this machine: see byte_stream for reading and writing.
/// See: connect_unix, unix_listener, socket_pair; unix(7).
class RONDO_API unix_stream : public byte_stream {
public:
    /// Not open.
    unix_stream() noexcept = default;
    /// Of a connected socket.
    explicit unix_stream(descriptor socket);

    /// As tcp_stream::shutdown_write.
    operation<void> shutdown_write();

    /// Who connected, or who listened: as it was when that happened.
    /// Throws: std::system_error. See: SO_PEERCRED in unix(7).
    credentials peer_credentials() const;

    /// Sends bytes, at least one, and with the first of them open descriptors, at most 253. They
    /// stay open here too; the receiver gets numbers of its own for the same open files.
    /// Throws: as write_all; std::invalid_argument for none or too many.
    /// Cancel: nothing has gone, or all descriptors and some bytes: then the stream is torn.
    /// See:    SCM_RIGHTS in unix(7), Python's socket.send_fds.
    task<> send_descriptors(const_buffer data, std::span<const int> numbers);
    /// Reads bytes, and the descriptors that came with them, close-on-exec. Every other read drops
    /// descriptors.
    /// Throws: as read_some; limit_error where more came than `descriptors_max`: all of them are
    ///         closed.
    /// Cancel: as read_some.
    task<received_descriptors> receive_descriptors(buffer_view into,
                                                   std::size_t descriptors_max = 253);

    /// Throws: std::system_error where it is closed.
    endpoint local() const;
    endpoint remote() const;
};

/// How a Unix socket listens.
struct unix_listen_options {
    int backlog = 4096;
    bool replace_stale = false;    ///< a file at which nobody listens any more is replaced
    bool remove_at_close = true;   ///< the file goes with the listener, if it is still the same
    unsigned permissions = 0;      ///< of the file; 0 leaves what the umask says
};
static_assert(std::is_trivially_destructible_v<unix_listen_options>);

/// Accepts connections, as tcp_listener does.
class RONDO_API unix_listener {
public:
    /// Throws: std::system_error: "bind unix:/run/app: Address already in use". A file that it had made is gone then.
    static unix_listener bind(const endpoint& where, unix_listen_options options = {});
    /// At a path.
    static unix_listener bind(std::string_view path, unix_listen_options options = {}) {
        return bind(endpoint::unix_path(path), options);
    }

    /// As tcp_listener::accept.
    task<unix_stream> accept();
    endpoint local() const noexcept { return listening_.local(); }
    bool is_open() const noexcept { return listening_.is_open(); }
    explicit operator bool() const noexcept { return is_open(); }
    detail::closing close() noexcept { return listening_.close(); }

private:
    explicit unix_listener(detail::listening listening) noexcept
        : listening_(std::move(listening)) {}
    detail::listening listening_;
};

/// How to connect.
struct unix_connect_options {
    detail::time_limit timeout = duration::max();
};

/// Throws: std::system_error: "connect unix:/run/app: Connection refused"; timeout_error.
/// Cancel: as connect_tcp.
/// See:    asyncio.open_unix_connection.
RONDO_API task<unix_stream> connect_unix(endpoint where, unix_connect_options options = {});
/// At a path.
inline task<unix_stream> connect_unix(std::string_view path, unix_connect_options options = {}) {
    return connect_unix(endpoint::unix_path(path), options);
}

/// Two streams that are each other's peer.
/// Throws: std::system_error. See: socketpair(2).
RONDO_API std::pair<unix_stream, unix_stream> socket_pair();

}  // namespace v0
}  // namespace rondo
