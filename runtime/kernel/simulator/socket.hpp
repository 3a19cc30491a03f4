// SPDX-License-Identifier: MIT
// The simulated network: sockets and pipes of one machine, with what makes them hard to use right.
// Segments take their time, buffers are bounded, transfers come short, a peer that closes with
// unread data resets, and data that arrived before the reset is still readable. Linux's order of
// answers is kept (tcp_sendmsg, tcp_recvmsg, tcp_reset).
//
// A pipe is a stream of which one end only writes and the other only reads; what Linux has
// different there (a broken one is POLLERR, small writes are whole) is said where it matters.
//
// A part of the network can be cut off: then nothing on the way to it or from it arrives before it
// is restored. Streams wait, datagrams are gone, connects have no answer.
//
// Not modelled, since a loop cannot see it: TIME_WAIT, the file that a bound Unix name leaves
// behind, urgent data.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <deque>
#include <utility>
#include <vector>

#include "kernel/simulator/address.hpp"
#include "kernel/simulator/buffer.hpp"
#include "kernel/simulator/core.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

/// PIPE_BUF: writes up to here are whole, and a pipe with less room than that is full.
inline constexpr std::uint32_t pipe_atomic = 4096;

struct sim_option {
    int level = 0;
    int name = 0;
    std::vector<std::byte> value;
};

/// What stands behind a descriptor, while it is on its way inside a message.
struct sim_opened {
    sim_socket* socket = nullptr;
    sim_file* file = nullptr;
};

/// Descriptors that were sent with the byte at that position of a stream (SCM_RIGHTS).
struct sim_rights {
    std::uint64_t at = 0;
    std::vector<sim_opened> opened;
};

/// A datagram on its way, then in the queue of who receives it.
struct sim_datagram {
    std::uint32_t index = 0;
    sim_name from;
    sim_name to;
    std::vector<std::byte> bytes;
    sim_socket* sender = nullptr;  // valid while its ticket is still this one
    std::uint32_t sender_ticket = 0;
};

enum class sim_socket_kind : std::uint8_t { stream, datagram, pipe_source, pipe_sink };

struct sim_socket {
    enum class phase : std::uint8_t { fresh, connecting, listening, connected };

    std::uint32_t index = 0;
    std::uint32_t ticket = 1;  // moves on when the socket is gone: peers and events notice
    std::uint32_t references = 1;  // descriptors that share it
    sim_socket_kind kind = sim_socket_kind::stream;
    phase state = phase::fresh;
    bool bound = false;
    bool ended = false;  // the peer's end of stream has arrived
    bool reset = false;  // the connection is gone
    bool shut_read = false;
    bool shut_write = false;
    bool answered = false;  // a reset is on its way to us
    int error = 0;          // given once, as SO_ERROR is
    sim_name local;
    sim_name remote;

    sim_socket* peer = nullptr;  // valid while its ticket is still this one
    std::uint32_t peer_ticket = 0;
    sim_pipe incoming;
    time_point last_arrival{};  // of what was sent to us: a stream does not overtake itself

    sim_queue readers;  // recv and the like; of a listener: accepts
    sim_queue writers;  // send and the like; of a listener: connects that found its backlog full
    sim_queue polls;

    std::uint32_t backlog = 0;
    std::uint32_t waiting = 0;  // connections not accepted yet, chained by next_waiting
    sim_socket* first_waiting = nullptr;
    sim_socket* last_waiting = nullptr;
    sim_socket* next_waiting = nullptr;

    std::deque<sim_rights> rights;       // on the way or arrived
    std::deque<sim_datagram> datagrams;  // received
    std::size_t datagram_bytes = 0;

    std::vector<sim_option> options;
};

/// Local, that is: a pipe is such a one too.
inline bool is_unix(const sim_socket& socket) noexcept { return socket.local.family() == AF_UNIX; }
inline bool is_pipe(const sim_socket& socket) noexcept {
    return socket.kind == sim_socket_kind::pipe_source || socket.kind == sim_socket_kind::pipe_sink;
}

class sim_network {
public:
    explicit sim_network(sim_core& core) noexcept : core_(core) {}

    // Descriptor calls; 0 or -errno.
    sim_socket* create(int family, sim_socket_kind kind = sim_socket_kind::stream);
    /// Two that are connected to each other, of AF_UNIX.
    void couple(sim_socket& one, sim_socket& other);
    int bind(sim_socket& socket, const sockaddr* address, socklen_t size);
    int listen(sim_socket& socket, int backlog);
    int set_option(sim_socket& socket, int level, int name, const void* value, socklen_t size);
    int get_option(sim_socket& socket, int level, int name, void* value, socklen_t* size);
    /// One descriptor less; the last one closes it.
    void close(sim_socket& socket);
    /// These go with the first of the last `moved` bytes that `from` has sent.
    void attach(sim_socket& from, std::uint32_t moved, std::vector<sim_opened> opened);
    /// What the last receive was given beside its bytes; what nobody can receive any more.
    std::vector<sim_opened> take_handed() noexcept { return std::exchange(handed_, {}); }
    std::vector<sim_opened> take_orphans() noexcept { return std::exchange(orphans_, {}); }

    // What tests do to the network.
    void cut_off(const sim_name& part);
    void restore(const sim_name& part);
    void reset_connections();

    /// Puts an operation where it waits, and schedules it if it need not.
    void begin(sim_operation& operation);
    /// What the operation gives now, or sim_wait.
    std::int32_t attempt(sim_operation& operation);
    /// The next connection that waits at a listener: null, and `result` says what accept gives
    /// instead.
    sim_socket* accept(sim_socket& listener, std::int32_t& result) noexcept;
    int shutdown(sim_socket& socket, int how);
    static bool joined(const sim_socket& socket) noexcept;
    /// Whoever is first in line, and the polls, may go on if they can; after every change.
    void stir(sim_socket& socket, short events);
    /// An operation of this socket has waited, ended or been taken away: on with the next in line.
    void advance(sim_socket& socket) { stir(socket, 0); }
    /// The operation ends with that result.
    void finish(sim_operation& operation, std::int32_t result) noexcept;

    /// A segment, an end of stream or a reset arrives.
    void arrive(const sim_event& event);

    /// send or write without MSG_NOSIGNAL or RWF_NOSIGNAL met a broken pipe: the real kernel would
    /// have raised SIGPIPE.
    std::uint64_t sigpipes() const noexcept { return sigpipes_; }

private:
    void enqueue(sim_queue& queue, sim_operation& operation);
    std::int32_t connect(sim_operation& operation);
    std::int32_t send(sim_operation& operation);
    std::int32_t receive(sim_operation& operation);
    std::int32_t broken_pipe(const sim_operation& operation) noexcept;
    std::int32_t go_on(sim_operation& operation, std::uint32_t moved, std::uint32_t left);

    sim_socket* peer_of(const sim_socket& socket) const noexcept;
    sim_socket* find_listener(const sim_name& destination) noexcept;
    void join(sim_socket& client, sim_socket& listener, const sim_name& destination);
    // datagram.cpp
    std::int32_t connect_datagrams(sim_operation& operation);
    std::int32_t send_datagrams(sim_operation& operation);
    std::int32_t receive_datagram(sim_operation& operation);
    int bind_to_free_port(sim_socket& socket);
    void launch(sim_socket& sender, const sim_name& to, sim_cursor& from, std::uint32_t size);
    void arrive_datagram(const sim_event& event);
    sim_socket* find_receiver(const sim_datagram& datagram) noexcept;
    short datagram_events(const sim_socket& socket) const noexcept;

    bool is_cut(const sim_name& name) const noexcept;
    bool is_cut(const sim_socket& socket) const noexcept;
    void break_off(sim_socket& socket);
    short pipe_events(const sim_socket& socket) const noexcept;
    void deliver(sim_socket& to, sim_event_kind kind, std::uint32_t amount);
    void disband(sim_socket& listener);
    void retry_connects(sim_socket& listener);
    std::uint16_t free_port(const sim_name& name) noexcept;
    bool taken(const sim_socket& asking, const sim_name& name) const noexcept;
    void schedule_first(sim_queue& queue, bool ready);
    short events_of(const sim_socket& socket) const noexcept;
    bool readable(const sim_socket& socket) const noexcept;
    bool writable(const sim_socket& socket) const noexcept;
    sim_latency distance(const sim_socket& socket) const noexcept;

    sim_core& core_;
    sim_slab<sim_socket> sockets_;
    sim_slab<sim_datagram> flying_;
    std::vector<sim_opened> handed_;
    std::vector<sim_opened> orphans_;
    std::vector<sim_socket*> bound_;  // by name, in the order of bind
    std::vector<sim_name> cut_;
    std::vector<sim_event> held_;  // what would have arrived there, or from there
    sim_queue unanswered_;         // connects to there
    std::uint16_t last_port_ = 32767;
    std::uint64_t sigpipes_ = 0;
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
