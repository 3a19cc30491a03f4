// SPDX-License-Identifier: MIT
// The simulated network: sockets and pipes of one machine, with the behaviour that makes them
// difficult. Segments take time, buffers are bounded, transfers are short. A peer that closes with
// unread data sends a reset. Data that was sent before the reset is still readable; data that waits
// for the receiver's window is lost. Errors are reported in Linux's order (tcp_sendmsg,
// tcp_recvmsg, tcp_reset).
//
// A pipe is a stream with one writing and one reading end. Comments at the code name the
// differences to sockets (a broken pipe is POLLERR, small writes are whole).
//
// A part of the network can be cut off: nothing to it or from it arrives until it is restored.
// Streams wait, datagrams are lost, connects get no answer.
//
// Not simulated: urgent data, connects that a lingering port would refuse, a connect that undoes a
// TCP connection (AF_UNSPEC), and addresses of other machines: each belongs to this one.
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

/// PIPE_BUF: writes of at most this size are whole, and a pipe with less room counts as full.
inline constexpr std::uint32_t pipe_atomic = 4096;

struct sim_option {
    int level = 0;
    int name = 0;
    std::vector<std::byte> value;
};

/// The file or socket of a descriptor that is in transit in a message.
struct sim_opened {
    sim_socket* socket = nullptr;
    sim_file* file = nullptr;
};

/// Descriptors that were sent with the byte at position `at` of a stream (SCM_RIGHTS).
struct sim_rights {
    std::uint64_t at = 0;
    std::vector<sim_opened> opened;
};

/// The most messages that a Unix socket holds: each costs its sender more than its bytes. With the
/// default buffer of Linux, 212,992 bytes, 278 are the limit.
inline constexpr std::size_t unix_messages_max = 278;

/// The port of a connection that was closed here first (TIME_WAIT).
struct sim_lingering {
    sim_name name;
    time_point until;
    bool is_shared = false;  // SO_REUSEADDR
};

/// A datagram: in transit, then in the queue of its receiver.
struct sim_datagram {
    std::uint32_t index = 0;
    sim_name from;
    sim_name to;
    std::vector<std::byte> bytes;
    sim_socket* sender = nullptr;  // valid while it still has that ticket
    std::uint32_t sender_ticket = 0;
};

enum class sim_socket_kind : std::uint8_t { stream, datagram, pipe_source, pipe_sink };

struct sim_socket {
    enum class phase : std::uint8_t { fresh, connecting, listening, connected };

    std::uint32_t index = 0;
    std::uint32_t ticket = 1;      // incremented at its end, so that peers and events notice
    std::uint32_t references = 1;  // descriptors that share it
    sim_socket_kind kind = sim_socket_kind::stream;
    phase state = phase::fresh;
    bool bound = false;
    bool ended = false;  // the peer's end of stream has arrived
    bool reset = false;  // the connection is gone
    bool shut_read = false;
    bool shut_write = false;
    bool reset_sent = false;  // a reset is in transit to this socket
    bool end_waits = false;   // the peer has ended: after its bytes that are not sent yet
    bool ended_first = false;  // its end was sent before the peer's came
    bool is_accepted = false;  // made by a listener
    int error = 0;          // reported once, like SO_ERROR
    sim_name local;
    sim_name remote;

    sim_socket* peer = nullptr;  // valid while it still has that ticket
    std::uint32_t peer_ticket = 0;
    sim_pipe incoming;
    std::uint32_t sent_in_vain = 0;  // bytes for a peer that has closed
    time_point last_arrival{};  // of data sent to this socket, so that a stream keeps its order

    sim_queue readers;  // recv and the like; of a listener: accepts
    sim_queue writers;  // send and the like; of a listener: connects while its backlog is full
    sim_queue polls;

    std::uint32_t backlog = 0;
    std::uint32_t waiting = 0;  // number of connections in accept_queue
    sim_socket* next_waiting = nullptr;
    intrusive_fifo<sim_socket, &sim_socket::next_waiting> accept_queue;  // not accepted yet

    std::vector<std::uint64_t> messages;  // positions where unread ones end; of a Unix socket
    std::deque<sim_rights> rights;       // in transit or arrived
    std::deque<sim_datagram> datagrams;  // received
    std::size_t datagram_bytes = 0;

    std::vector<sim_option> options;
};

/// Whether it is local to the machine: a Unix socket or a pipe.
inline bool is_unix(const sim_socket& socket) noexcept { return socket.local.family() == AF_UNIX; }
inline bool is_pipe(const sim_socket& socket) noexcept {
    return socket.kind == sim_socket_kind::pipe_source || socket.kind == sim_socket_kind::pipe_sink;
}

/// The value of an option that is an int.
int option_of(const sim_socket& socket, int level, int name) noexcept;
/// Whether SO_LINGER is set with time 0: then closing sends a reset (tcp_close).
bool resets_on_close(const sim_socket& socket) noexcept;

class sim_network {
public:
    explicit sim_network(sim_core& core) noexcept : core_(core) {}

    // Descriptor calls. Those that return int return 0 or -errno.
    sim_socket* create(int family, sim_socket_kind kind = sim_socket_kind::stream);
    /// Connects two sockets to each other.
    void couple(sim_socket& one, sim_socket& other);
    int bind(sim_socket& socket, const sockaddr* address, socklen_t size);
    int listen(sim_socket& socket, int backlog);
    bool has_listener(const sockaddr* address, socklen_t size) noexcept;
    int set_option(sim_socket& socket, int level, int name, const void* value, socklen_t size);
    /// The events of poll(2) that hold now.
    short events_of(const sim_socket& socket) const noexcept;
    int get_option(sim_socket& socket, int level, int name, void* value, socklen_t* size);
    /// Drops one reference; the last one closes the socket.
    void close(sim_socket& socket);
    /// Sends descriptors with the first of the last `moved` bytes that `from` has sent.
    void attach(sim_socket& from, std::uint32_t moved, std::vector<sim_opened> opened);
    /// Returns: the descriptors that the last receive got with its bytes.
    std::vector<sim_opened> take_received() noexcept { return std::exchange(received_, {}); }
    /// Returns: descriptors in transit that can no longer be received.
    std::vector<sim_opened> take_unreachable() noexcept { return std::exchange(unreachable_, {}); }

    // Network faults for tests.
    void cut_off(const sim_name& part);
    void restore(const sim_name& part);
    void reset_connections();

    /// Puts an operation into its queue, or schedules it if it need not wait.
    void begin(sim_operation& operation);
    /// Returns: the result of the operation now, or sim_wait.
    std::int32_t attempt(sim_operation& operation);
    /// Returns: the next connection in the listener's queue. If it is null, `result` is the result
    /// of the accept.
    sim_socket* accept(sim_socket& listener, std::int32_t& result) noexcept;
    int shutdown(sim_socket& socket, int how);
    static bool is_connected(const sim_socket& socket) noexcept;
    /// Schedules the first reader, the first writer and the polls that can go on; called after
    /// every change of the socket.
    void wake_waiters(sim_socket& socket, short events);
    /// Schedules the next operation of a queue, after one has waited, ended or been removed.
    void advance(sim_socket& socket) { wake_waiters(socket, 0); }
    /// Resets the state of the socket if the operation is a connect that has failed.
    void finish(sim_operation& operation, std::int32_t result) noexcept;

    /// Handles the arrival of a segment, an end of stream, a reset or a datagram.
    void arrive(const sim_event& event);

    /// Returns: how often a send or write without MSG_NOSIGNAL or RWF_NOSIGNAL met a broken pipe:
    /// the real kernel would have raised SIGPIPE.
    std::uint64_t sigpipes() const noexcept { return sigpipes_; }

private:
    void enqueue(sim_queue& queue, sim_operation& operation);
    std::int32_t connect(sim_operation& operation);
    std::int32_t send(sim_operation& operation);
    std::int32_t receive(sim_operation& operation);
    std::int32_t broken_pipe(const sim_operation& operation) noexcept;
    std::int32_t continue_transfer(sim_operation& operation, std::uint32_t moved,
                                   std::uint32_t left);

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
    void reset_connection(sim_socket& socket);
    short pipe_events(const sim_socket& socket) const noexcept;
    void deliver(sim_socket& to, sim_event_kind kind, std::uint32_t amount);
    void transmit(sim_socket& to);
    void send_end(sim_socket& to);
    void send_reset(sim_socket& to, bool ends);
    void stop_listening(sim_socket& listener);
    void retry_connects(sim_socket& listener);
    std::uint16_t free_port(const sim_name& name) noexcept;
    bool is_name_taken(const sim_socket& asking, const sim_name& name) const noexcept;
    bool is_port_used(const sim_socket& asking, const sim_name& name) noexcept;
    void let_linger(const sim_socket& socket);
    void schedule_first(sim_queue& queue, bool ready);
    bool readable(const sim_socket& socket) const noexcept;
    bool writable(const sim_socket& socket) const noexcept;
    std::uint32_t room_for(const sim_socket& socket) const noexcept;
    sim_latency latency_of(const sim_socket& socket) const noexcept;

    sim_core& core_;
    sim_slab<sim_socket> sockets_;
    sim_slab<sim_datagram> in_transit_;
    std::vector<sim_opened> received_;
    std::vector<sim_opened> unreachable_;
    std::vector<sim_socket*> bound_;  // by name, in the order of bind
    std::vector<sim_lingering> lingering_;
    std::vector<sim_name> cut_;    // parts of the network that are cut off
    std::vector<sim_event> held_;  // arrivals there, or from there, until it is restored
    sim_queue unanswered_;         // connects to there
    std::uint16_t last_port_ = 32767;
    std::uint64_t sigpipes_ = 0;
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
