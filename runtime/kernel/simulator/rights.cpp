// SPDX-License-Identifier: MIT
// Descriptors that are sent through Unix sockets (SCM_RIGHTS). While one is on its way it has no
// number, and what is behind it stays open; if nobody can receive it any more it is closed.
#include <algorithm>
#include <cerrno>
#include <cstring>

#include "kernel/simulator/simulator.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

/// Every transfer on a socket comes by here.
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
        if (const int error = gather_rights(*message, opened); error < 0) return error;
        const std::int32_t result = network_.attempt(operation);
        if (opened.empty()) return result;
        network_.attach(socket, operation.moved, std::move(opened));
        let_go({});
        return result;
    }
    const std::size_t room = message != nullptr ? message->msg_controllen : 0;
    const std::int32_t result = network_.attempt(operation);
    if (what.code == opcode::recvmsg && result == sim_wait) message->msg_controllen = room;
    if (may_carry)
        hand_out(what.code == opcode::recvmsg ? message : nullptr, room, network_.take_handed());
    return result;
}

/// Takes hold of what is behind the numbers in the message.
int simulator::gather_rights(msghdr& message, std::vector<sim_opened>& opened) {
    for (cmsghdr* at = CMSG_FIRSTHDR(&message); at != nullptr; at = CMSG_NXTHDR(&message, at)) {
        if (at->cmsg_level != SOL_SOCKET || at->cmsg_type != SCM_RIGHTS) continue;
        const std::size_t count = (at->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (std::size_t i = 0; i < count; ++i) {
            int number = -1;
            std::memcpy(&number, CMSG_DATA(at) + i * sizeof number, sizeof number);
            const descriptor* const found = find(number);
            if (found == nullptr) {
                let_go(std::move(opened));
                return -EBADF;
            }
            ++(found->socket != nullptr ? found->socket->references : found->file->references);
            opened.push_back({found->socket, found->file});
        }
    }
    return 0;
}

/// Numbers for as many as the message has room for; the others are closed, and it says so.
void simulator::hand_out(msghdr* message, std::size_t room, std::vector<sim_opened> opened) {
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
    let_go(std::move(opened));
}

/// And what was on its way in a socket that is closed with them, and so on.
void simulator::let_go(std::vector<sim_opened> opened) {
    for (;;) {
        for (const sim_opened& each : opened)
            if (each.socket != nullptr)
                network_.close(*each.socket);
            else
                files_.close(*each.file);
        opened = network_.take_orphans();
        if (opened.empty()) return;
    }
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
