// SPDX-License-Identifier: MIT
// Datagrams: each is sent and received whole, or not at all; they may be lost, come twice or
// overtake each other, and an empty one is one too.
//
// A datagram that is longer than the buffer loses its end, as the kernel has it; `truncated` says
// so. Any number of tasks may send at the same time, since datagrams do not interleave; one at a
// time receives.
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

/// What has been received.
struct datagram {
    chunk data;     ///< in the caller's buffer; may be empty, and is true even then
    endpoint from;  ///< who sent it
    bool truncated = false;          ///< it was longer than the buffer, and its end is lost
    std::uint16_t segment_size = 0;  ///< with `udp_options::receive_merged`: `data` is several
                                     ///< datagrams of this size, the last one perhaps shorter;
                                     ///< 0 where it is one

    std::size_t size() const noexcept { return data.size(); }
    std::string_view text() const noexcept { return data.text(); }
};
static_assert(std::is_trivially_destructible_v<datagram>);

/// How a socket is made.
struct udp_options {
    bool reuse_address = false;   ///< SO_REUSEADDR: several may have the same multicast port
    bool reuse_port = false;      ///< SO_REUSEPORT: the kernel spreads the senders over them
    bool broadcast = false;       ///< SO_BROADCAST: sending to everybody is allowed
    bool ipv6_only = false;       ///< IPV6_V6ONLY: an IPv6 socket gets nothing from IPv4
    bool receive_merged = false;  ///< UDP_GRO (Linux 5.0): datagrams of one size may come together
    int receive_buffer = 0;       ///< SO_RCVBUF in bytes; 0 leaves the system's
    int send_buffer = 0;          ///< SO_SNDBUF in bytes; 0 leaves the system's
};
static_assert(std::is_trivially_destructible_v<udp_options>);

namespace detail {

/// A datagram on its way, with all that the kernel reads and writes of it: in the awaiting frame.
class RONDO_API datagram_awaiter : public operation_state {
protected:
    datagram_awaiter(const wait_kind& what_for, held<> socket, opcode code) noexcept
        : operation_state(what_for, socket->fd.record(), {}), socket_(std::move(socket)) {
        ask.code = code;
        ask.address = address_of(message_);
        ask.length = 1;
    }
    void prepare(const void* data, std::size_t size) noexcept;

    held<> socket_;
    std::uint64_t message_[7];  // a msghdr,
    std::uint64_t part_[2];     // its iovec
    std::uint64_t control_[4];  // and a control message
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
    enum : std::uint32_t { too_large = 16 };  // beside operation_state's
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
    enum : std::uint32_t { busy = 16, ours = 32 };  // beside operation_state's
    void let_go() noexcept;
    buffer_view into_;
    std::uint64_t from_[(endpoint::size_max + 7) / 8];  // a sockaddr
};

class [[nodiscard("nothing is sent until this is awaited")]] sending_datagram : only_in_tasks {
public:
    sending_datagram(held<> socket, const_buffer data, const endpoint& to,
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

class [[nodiscard("nothing is received until this is awaited")]] receiving_datagram
    : only_in_tasks {
public:
    receiving_datagram(held<> socket, buffer_view into) noexcept
        : socket_(std::move(socket)), into_(into) {}
    receive_datagram_awaiter rondo_awaiter()&& noexcept { return {std::move(socket_), into_}; }

private:
    held<> socket_;
    buffer_view into_;
};

}  // namespace detail

/// A UDP socket. Move-only; the destructor closes it.
/// Thread: its loop's.
/// See:    udp(7), asyncio loop.create_datagram_endpoint.
class RONDO_API udp_socket {
public:
    /// Receives what is sent to `where`; port 0 lets the kernel choose: see `local`.
    /// Throws: std::system_error: "bind 127.0.0.1:3737: Address already in use".
    static udp_socket bind(const endpoint& where, udp_options options = {});
    /// On no port yet: the first thing that is sent gives it one.
    /// Throws: std::system_error.
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

    /// From now on `send` goes to `peer`, and nothing is received from anybody else. That nobody
    /// listens there is ECONNREFUSED at a later wait, if the peer's system says so.
    /// Throws: std::system_error. Cancel: not done, or done and the next wait throws.
    /// See:    connect(2).
    task<> connect(endpoint peer);

    /// Sends one datagram.
    /// Throws: std::system_error: "sendto 10.0.0.1:53: Network is unreachable"; EMSGSIZE where it
    ///         is longer than a datagram may be.
    /// Cancel: it has gone, and the next wait throws, or it has not.
    /// See:    sendto(2), asyncio DatagramTransport.sendto.
    detail::sending_datagram send_to(const_buffer data, const endpoint& to) {
        return {state(), data, to};
    }
    /// The same on a connected socket.
    detail::sending_datagram send(const_buffer data) { return {state(), data, endpoint()}; }
    /// Sends `data` as datagrams of `segment_size` bytes each, the last one perhaps shorter, at most
    /// 64: one system call, one way through the network's code. To nowhere: where it is connected.
    /// Throws: as send_to; EINVAL or EIO where kernel or device cannot.
    /// Since:  Linux 4.18. See: UDP_SEGMENT in udp(7).
    detail::sending_datagram send_segments(const_buffer data, std::size_t segment_size,
                                           const endpoint& to = {}) {
        return {state(), data, to, segment_size};
    }

    /// The next datagram, in `into`.
    /// Throws: std::system_error; invalid_state_error where another task waits to receive.
    /// Cancel: nothing lost: one that came anyway is returned, and the next wait throws.
    /// See:    recvmsg(2), asyncio DatagramProtocol.datagram_received.
    detail::receiving_datagram receive_from(buffer_view into) { return {state(), into}; }

    /// What is sent to that group is received from now on, or no longer. `interface` is a name
    /// ("eth0") or a number; empty lets the system choose.
    /// Throws: std::system_error: "join 239.1.2.3: No such device".
    /// See:    IP_ADD_MEMBERSHIP in ip(7), IPV6_ADD_MEMBERSHIP in ipv6(7).
    void join(const endpoint& group, std::string_view interface = {});
    void leave(const endpoint& group, std::string_view interface = {});
    /// Of what is sent to groups: how many networks it may cross (1), whether this machine gets it
    /// too (true), and by which interface it goes.
    /// Throws: std::system_error.
    void set_multicast_hops(int hops);
    void set_multicast_loop(bool on);
    void set_multicast_interface(std::string_view interface);

    /// setsockopt(2), for whatever has no name here.
    /// Throws: std::system_error.
    void set_option(int level, int name, int value);
    int get_option(int level, int name) const;

    /// Where it receives, with the port that the kernel chose; and to whom it is connected.
    /// Throws: std::system_error.
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
