// SPDX-License-Identifier: MIT
// ipc_channel: packets with descriptors (SCM_RIGHTS), sent by operations of the loop or by blocking
// system calls.
#include <rondo/ipc_channel.hpp>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <cerrno>
#include <deque>
#include <mutex>
#include <optional>
#include <utility>

#include "io/net/message_rights.hpp"
#include "io/net/socket_calls.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

constexpr auto ipc_send_kind = operation_kind("ipc send");
constexpr auto ipc_receive_kind = operation_kind("ipc receive");

int size_of_message(operation_state& done) { return done.result; }

/// A msghdr for one buffer, with room for descriptors.
struct one_message {
    iovec part;
    control_space control;
    msghdr header{};

    explicit one_message(char* bytes, std::size_t size) noexcept : part{bytes, size} {
        header.msg_iov = &part;
        header.msg_iovlen = 1;
    }
    one_message(const one_message&) = delete;
    one_message& operator=(const one_message&) = delete;
    void take_rights() noexcept {
        header.msg_control = control.bytes.data();
        header.msg_controllen = control.bytes.size();
    }
};

ipc_packet packet_of(one_message& message, std::string bytes, std::size_t size) {
    ipc_packet packet;
    packet.descriptors = adopt_descriptors(message.header);
    if ((message.header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0)
        throw limit_error("ipc receive: a message has more than " + std::to_string(bytes.size()) +
                          " bytes, or more than 253 descriptors");
    bytes.resize(size);
    packet.bytes = std::move(bytes);
    return packet;
}

/// Blocks the thread until the socket has one of `events`, or an end or error.
void block_on_socket(int number, short events) {
    pollfd wait{number, events, 0};
    while (::poll(&wait, 1, -1) < 0)
        if (errno != EINTR) throw_system_error(errno, "poll", "ipc channel");
}

}  // namespace

/// Packets whose receive lost a race, for the next receives of tasks and threads.
struct ipc_kept {
    void put(ipc_packet packet) {
        const std::lock_guard lock(mutex_);
        packets_.push_back(std::move(packet));
    }
    std::optional<ipc_packet> take() {
        const std::lock_guard lock(mutex_);
        if (packets_.empty()) return std::nullopt;
        ipc_packet first = std::move(packets_.front());
        packets_.pop_front();
        return first;
    }

private:
    std::mutex mutex_;
    std::deque<ipc_packet> packets_;
};

ipc_socket::ipc_socket(descriptor s, ipc_channel_options options)
    : socket(std::move(s)), options_(options), kept_(std::make_shared<ipc_kept>()) {
    int type = 0, family = 0;
    socklen_t size = sizeof type;
    check(get_option(socket, SOL_SOCKET, SO_TYPE, &type, &size), "adopt", "ipc channel");
    size = sizeof family;
    check(get_option(socket, SOL_SOCKET, SO_DOMAIN, &family, &size), "adopt", "ipc channel");
    if (type != SOCK_SEQPACKET || family != AF_UNIX)
        throw error("adopt ipc channel: the descriptor is not a Unix SOCK_SEQPACKET socket");
    ::fcntl(socket.number(), F_SETFD, FD_CLOEXEC);  // our children do not inherit it again
}

std::pair<ipc_socket, ipc_socket> ipc_socket::pair(ipc_channel_options options) {
    int ends[2];
    check(new_socket_pair(AF_UNIX, SOCK_SEQPACKET, 0, ends), "socketpair", "ipc channel");
    auto both = adopt_both(ends, "ipc channel");
    return {ipc_socket(std::move(both.first), options),
            ipc_socket(std::move(both.second), options)};
}

void ipc_socket::check_size(std::size_t bytes, std::size_t numbers) const {
    if (bytes == 0)
        throw error(
            "ipc send: the serializer wrote no bytes, and an empty message would mean the end "
            "of the channel");
    if (bytes > options_.message_max)
        throw limit_error("ipc send: the message has " + std::to_string(bytes) +
                          " bytes, and at most " + std::to_string(options_.message_max) +
                          " are allowed");
    if (numbers > descriptors_most)
        throw limit_error("ipc send: the message has " + std::to_string(numbers) +
                          " descriptors, and at most 253 are allowed");
}

task<> ipc_socket::send(std::string bytes, std::vector<int> numbers) {
    check_size(bytes.size(), numbers.size());
    one_message message(bytes.data(), bytes.size());
    if (!numbers.empty()) attach_descriptors(message.header, message.control, numbers);
    operation<int> sending(ipc_send_kind, socket.record(),
                           message_request(opcode::sendmsg, message.header, MSG_NOSIGNAL),
                           size_of_message);
    co_await std::move(sending);
}

task<ipc_packet> ipc_socket::receive() {
    if (cancel_requested()) throw cancelled();
    if (kept_ != nullptr)
        if (auto left = kept_->take()) co_return *std::move(left);
    std::string bytes(options_.message_max, '\0');
    one_message message(bytes.data(), bytes.size());
    message.take_rights();
    operation<int> receiving(ipc_receive_kind, socket.record(),
                             message_request(opcode::recvmsg, message.header, MSG_CMSG_CLOEXEC),
                             size_of_message);
    const int size = co_await std::move(receiving);
    ipc_packet packet = packet_of(message, std::move(bytes), static_cast<std::size_t>(size));
    if (has_lost_race()) {
        if (!packet.bytes.empty()) kept_->put(std::move(packet));
        throw cancelled();
    }
    co_return std::move(packet);
}

void ipc_socket::blocking_send(const std::string& bytes, std::span<const int> numbers) {
    check_size(bytes.size(), numbers.size());
    one_message message(const_cast<char*>(bytes.data()), bytes.size());
    if (!numbers.empty()) attach_descriptors(message.header, message.control, numbers);
    while (::sendmsg(socket.number(), &message.header, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
        if (errno == EAGAIN)
            block_on_socket(socket.number(), POLLOUT);
        else if (errno != EINTR)
            throw_system_error(errno, "ipc send", "");
    }
}

ipc_packet ipc_socket::blocking_receive() {
    if (kept_ != nullptr)
        if (auto left = kept_->take()) return *std::move(left);
    std::string bytes(options_.message_max, '\0');
    one_message message(bytes.data(), bytes.size());
    ssize_t size = 0;
    do {
        message.take_rights();
        size = ::recvmsg(socket.number(), &message.header, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
        if (size < 0 && errno == EAGAIN)
            block_on_socket(socket.number(), POLLIN);
        else if (size < 0 && errno != EINTR)
            throw_system_error(errno, "ipc receive", "");
    } while (size < 0);
    return packet_of(message, std::move(bytes), static_cast<std::size_t>(size));
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
