// SPDX-License-Identifier: MIT
// Descriptors that are sent through Unix sockets (SCM_RIGHTS). While one is in transit it has no
// number, but its file or socket stays open. If it can no longer be received it is closed.
#include <algorithm>
#include <cerrno>
#include <cstring>

#include "kernel/simulator/simulator.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

/// Attempts a transfer on a socket, with its control messages.
std::int32_t simulator::attempt_message(sim_operation& operation) {
    const entry& what = operation.what;
    auto* const message = what.code == opcode::sendmsg || what.code == opcode::recvmsg
                              ? sim_pointer<msghdr>(what.address)
                              : nullptr;
    sim_socket& socket = *operation.socket;
    const bool may_carry = is_unix(socket) && !is_pipe(socket);
    if (what.code == opcode::sendmsg && may_carry && operation.moved == 0 &&
        message->msg_controllen > 0) {
        std::vector<sim_opened> opened;
        if (const int error = collect_rights(*message, opened); error < 0) return error;
        const std::int32_t result = network_.attempt(operation);
        if (opened.empty()) return result;
        network_.attach(socket, operation.moved, std::move(opened));
        drop_opened({});
        return result;
    }
    const std::size_t room = message != nullptr ? message->msg_controllen : 0;
    const std::int32_t result = network_.attempt(operation);
    if (what.code == opcode::recvmsg && result == sim_wait) message->msg_controllen = room;
    if (may_carry)
        deliver_rights(what.code == opcode::recvmsg ? message : nullptr, room,
                       network_.take_received());
    return result;
}

/// References the files and sockets of the descriptors in the message.
int simulator::collect_rights(msghdr& message, std::vector<sim_opened>& opened) {
    for (cmsghdr* at = CMSG_FIRSTHDR(&message); at != nullptr; at = CMSG_NXTHDR(&message, at)) {
        if (at->cmsg_level != SOL_SOCKET || at->cmsg_type != SCM_RIGHTS) continue;
        const std::size_t count = (at->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (std::size_t i = 0; i < count; ++i) {
            int number = -1;
            std::memcpy(&number, CMSG_DATA(at) + i * sizeof number, sizeof number);
            const descriptor* const found = find(number);
            if (found == nullptr) {
                drop_opened(std::move(opened));
                return -EBADF;
            }
            ++(found->socket != nullptr ? found->socket->references : found->file->references);
            opened.push_back({found->socket, found->file});
        }
    }
    return 0;
}

/// Gives numbers to as many descriptors as fit into the message. The others are closed, and
/// MSG_CTRUNC is set.
void simulator::deliver_rights(msghdr* message, std::size_t room, std::vector<sim_opened> opened) {
    if (opened.empty()) return;
    std::size_t count = 0;
    if (message != nullptr && message->msg_control != nullptr && room >= CMSG_LEN(sizeof(int))) {
        auto* const header = static_cast<cmsghdr*>(message->msg_control);
        const std::size_t most = (room - CMSG_LEN(0)) / sizeof(int);
        for (; count < std::min(most, opened.size()) && !descriptors_full(); ++count) {
            const int number = open_descriptor(opened[count].socket, opened[count].file);
            std::memcpy(CMSG_DATA(header) + count * sizeof number, &number, sizeof number);
        }
        if (count > 0) {
            header->cmsg_level = SOL_SOCKET;
            header->cmsg_type = SCM_RIGHTS;
            header->cmsg_len = CMSG_LEN(count * sizeof(int));
            message->msg_controllen = std::min(room, CMSG_SPACE(count * sizeof(int)));
        }
    }
    if (message != nullptr && count < opened.size()) message->msg_flags |= MSG_CTRUNC;
    opened.erase(opened.begin(), opened.begin() + static_cast<std::ptrdiff_t>(count));
    drop_opened(std::move(opened));
}

/// Drops the references. Descriptors in transit in a socket that closes thereby are dropped too,
/// and so on.
void simulator::drop_opened(std::vector<sim_opened> opened) {
    for (;;) {
        for (const sim_opened& each : opened)
            if (each.socket != nullptr)
                network_.close(*each.socket);
            else
                files_.close(*each.file);
        opened = network_.take_unreachable();
        if (opened.empty()) return;
    }
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
