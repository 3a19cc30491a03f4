// SPDX-License-Identifier: MIT
// UDP sockets. A datagram is sent and received as a whole, or not at all. It may be lost, arrive
// twice, or overtake others. An empty datagram is a datagram, too.
//
// If a datagram is longer than the buffer, the kernel cuts off its end, and `truncated` is set. Any
// number of tasks may send at the same time, since datagrams do not interleave; one task at a time
// may receive.
#pragma once

#include <rondo/config.hpp>

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>
#include <utility>

#include <rondo/endpoint.hpp>
#include <rondo/stream.hpp>

namespace rondo {
inline namespace v0 {

/// A received datagram.
struct datagram {
    chunk data;     ///< in the caller's buffer; may be empty, and is true even then
    endpoint from;  ///< the sender's address
    bool truncated = false;          ///< it was longer than the buffer, and its end is lost
    std::uint16_t segment_size = 0;  ///< with `udp_options::receive_merged`: if not 0, `data` holds
                                     ///< several datagrams of this size, the last one perhaps
                                     ///< shorter; 0 if it is one

    std::size_t size() const noexcept { return data.size(); }
    std::string_view text() const noexcept { return data.text(); }
};
static_assert(std::is_trivially_destructible_v<datagram>);

/// Options of a UDP socket.
struct udp_options {
    bool reuse_address = false;   ///< SO_REUSEADDR: several sockets may have one multicast port
    bool reuse_port = false;      ///< SO_REUSEPORT: the kernel spreads the senders over the sockets
    bool broadcast = false;       ///< SO_BROADCAST: sending to broadcast addresses is allowed
    bool ipv6_only = false;       ///< IPV6_V6ONLY: an IPv6 socket receives nothing from IPv4
    bool receive_merged = false;  ///< UDP_GRO (Linux 5.0): datagrams of one size may come together
    int receive_buffer = 0;       ///< SO_RCVBUF in bytes; 0: the system's default
    int send_buffer = 0;          ///< SO_SNDBUF in bytes; 0: the system's default
};
static_assert(std::is_trivially_destructible_v<udp_options>);

namespace detail {

/// Base of the awaiters. It holds, in the awaiting frame, all memory that the kernel reads or
/// writes.
class RONDO_API datagram_awaiter : public operation_state {
protected:
    datagram_awaiter(const wait_kind& what_for, held<> socket, opcode code) noexcept
        : operation_state(what_for, socket->fd.record(), {}), socket_(std::move(socket)) {
        request.code = code;
        request.address = address_of(message_);
        request.length = 1;
    }
    void prepare(const void* data, std::size_t size) noexcept;

    held<> socket_;
    std::uint64_t message_[7];  // a msghdr
    std::uint64_t part_[2];     // its iovec
    std::uint64_t control_[4];  // its control message
    friend struct datagram_kind;
};

class RONDO_API send_datagram_awaiter : public datagram_awaiter {
public:
    send_datagram_awaiter(held<> socket, const_buffer data, const endpoint& to,
                          std::size_t segment) noexcept;
    bool await_ready() noexcept;
    void await_suspend(std::coroutine_handle<> frame, location at = location::current()) noexcept;
    void await_resume();

private:
    enum : std::uint32_t { too_large = 16 };  // further bits of operation_state::state
    const_buffer data_;
    endpoint to_;
    std::size_t segment_;
};

class RONDO_API receive_datagram_awaiter : public datagram_awaiter {
public:
    receive_datagram_awaiter(held<> socket, buffer_view into) noexcept;
    ~receive_datagram_awaiter();
    bool await_ready() noexcept;
    void await_suspend(std::coroutine_handle<> frame, location at = location::current()) noexcept;
    datagram await_resume();

private:
    enum : std::uint32_t { busy = 16, ours = 32, kept = 64 };  // more of operation_state::state
    void let_go() noexcept;
    datagram arrived();
    buffer_view into_;
    std::uint64_t from_[(endpoint::size_max + 7) / 8];  // a sockaddr
};

class [[nodiscard("nothing is sent until this is awaited")]] send_datagram_awaitable
    : only_in_tasks {
public:
    send_datagram_awaitable(held<> socket, const_buffer data, const endpoint& to,
                            std::size_t segment = 0) noexcept
        : socket_(std::move(socket)), data_(data), to_(to), segment_(segment) {}
    send_datagram_awaiter rondo_awaiter()&& noexcept {
        return {std::move(socket_), data_, to_, segment_};
    }

private:
    held<> socket_;
    const_buffer data_;
    endpoint to_;
    std::size_t segment_;
};

class [[nodiscard("nothing is received until this is awaited")]] receive_datagram_awaitable
    : only_in_tasks {
public:
    receive_datagram_awaitable(held<> socket, buffer_view into) noexcept
        : socket_(std::move(socket)), into_(into) {}
    receive_datagram_awaiter rondo_awaiter()&& noexcept { return {std::move(socket_), into_}; }

private:
    held<> socket_;
    buffer_view into_;
};

}  // namespace detail

/// A UDP socket. Move-only; the destructor closes it.
/// Thread: its loop's thread.
/// See:    udp(7), asyncio loop.create_datagram_endpoint.
class RONDO_API udp_socket {
public:
    /// A socket that receives datagrams sent to `where`. With port 0 the kernel chooses a port: see
    /// `local`.
    /// Throws: std::system_error: "bind 127.0.0.1:3737: Address already in use".
    /// See:    bind(2).
    static udp_socket bind(const endpoint& where, udp_options options = {});
    /// A socket without a port; its first send gives it one.
    /// Throws: std::system_error.
    /// See:    socket(2).
    static udp_socket open(address_family family = address_family::ipv4, udp_options options = {});

    udp_socket(udp_socket&& other) noexcept = default;
    udp_socket& operator=(udp_socket&& other) noexcept {
        udp_socket old(std::move(other));
        std::swap(state_, old.state_);
        return *this;
    }
    ~udp_socket() {
        if (state_) state_->close();
    }

    /// From now on `send` goes to `peer`, and only datagrams from `peer` are received. If no socket
    /// has that port and the peer's system says so, a later wait throws ECONNREFUSED.
    /// Throws: std::system_error.
    /// Cancel: not done; or done, and the next wait throws.
    /// See:    connect(2).
    task<> connect(endpoint peer);

    /// Sends one datagram.
    /// Throws: std::system_error: "sendto 10.0.0.1:53: Network is unreachable"; EMSGSIZE if it is
    ///         longer than a datagram may be.
    /// Cancel: not sent; or sent, and the next wait throws.
    /// See:    sendto(2), asyncio DatagramTransport.sendto.
    detail::send_datagram_awaitable send_to(const_buffer data, const endpoint& to) {
        return {state(), data, to};
    }
    /// Sends one datagram on a connected socket; as send_to.
    detail::send_datagram_awaitable send(const_buffer data) { return {state(), data, endpoint()}; }
    /// Sends `data` as up to 64 datagrams of `segment_size` bytes, the last one perhaps shorter:
    /// one system call, and one pass through the network stack. Without `to` the socket has to be
    /// connected.
    /// Throws: as send_to; EINVAL or EIO if the kernel or the device does not support it.
    /// Cancel: as send_to.
    /// Since:  Linux 4.18.
    /// See:    UDP_SEGMENT in udp(7).
    detail::send_datagram_awaitable send_segments(const_buffer data, std::size_t segment_size,
                                                  const endpoint& to = {}) {
        return {state(), data, to, segment_size};
    }

    /// Receives the next datagram into `into`.
    /// Throws: std::system_error; invalid_state_error if another task waits to receive.
    /// Cancel: no datagram is lost: one that came anyway is returned, and the next wait throws.
    /// See:    recvmsg(2), asyncio DatagramProtocol.datagram_received.
    detail::receive_datagram_awaitable receive_from(buffer_view into) { return {state(), into}; }

    /// Joins or leaves a multicast group: datagrams sent to it are received from now on, or no
    /// longer.
    /// `interface` is a name ("eth0") or a number; if it is empty, the system chooses.
    /// Throws: std::system_error: "join 239.1.2.3: No such device".
    /// See:    IP_ADD_MEMBERSHIP in ip(7), IPV6_ADD_MEMBERSHIP in ipv6(7).
    void join(const endpoint& group, std::string_view interface = {});
    void leave(const endpoint& group, std::string_view interface = {});
    /// How multicast datagrams are sent: how many networks they may cross (default 1), whether this
    /// machine receives them too (default true), and through which interface they go.
    /// Throws: std::system_error.
    /// See:    IP_MULTICAST_TTL in ip(7), IPV6_MULTICAST_HOPS in ipv6(7).
    void set_multicast_hops(int hops);
    void set_multicast_loop(bool on);
    void set_multicast_interface(std::string_view interface);

    /// Sets or reads an option that has no function here.
    /// Throws: std::system_error.
    /// See:    setsockopt(2), getsockopt(2).
    void set_option(int level, int name, int value);
    int get_option(int level, int name) const;

    /// This socket's address, with the port that the kernel chose; and the address it is connected
    /// to.
    /// Throws: std::system_error.
    /// See:    getsockname(2), getpeername(2).
    endpoint local() const;
    endpoint remote() const;

    bool is_open() const noexcept { return state_ && state_->fd.is_open(); }
    explicit operator bool() const noexcept { return is_open(); }
    /// As byte_stream::close.
    detail::closing close() noexcept;

private:
    explicit udp_socket(detail::held<> state) noexcept : state_(std::move(state)) {}
    const detail::held<>& state() const noexcept {
        RONDO_ASSERT(state_, "this socket is empty: it was moved from");
        return state_;
    }
    bool is_ipv6() const;
    void set_membership(bool joins, const endpoint& group, std::string_view interface);

    detail::held<> state_;
};

}  // namespace v0
}  // namespace rondo
