// SPDX-License-Identifier: MIT
// Operations that wait for the readiness of a descriptor by a poll.
#include <rondo/readiness.hpp>

#include <poll.h>

#include <cstdio>

namespace rondo {
inline namespace v0 {

namespace {

const char* object_of_poll(const detail::leaf_wait& wait) {
    const auto& operation = static_cast<const detail::operation_state&>(wait);
    if (operation.on != nullptr) return detail::operation_object(wait);
    static thread_local char text[32];
    std::snprintf(text, sizeof text, "descriptor %d", operation.request.number);
    return text;
}

constexpr detail::wait_kind poll_kind{"poll", detail::cancel_operation, object_of_poll};

readiness readiness_of(detail::operation_state& done) {
    const auto events = static_cast<unsigned>(done.result);
    readiness ready;
    ready.readable = (events & (POLLIN | POLLRDHUP | POLLHUP | POLLERR)) != 0;
    ready.writable = (events & (POLLOUT | POLLHUP | POLLERR)) != 0;
    ready.error = (events & POLLERR) != 0;
    ready.hung_up = (events & (POLLHUP | POLLRDHUP)) != 0;
    return ready;
}

operation<readiness> poll(int number, const descriptor* fd, unsigned events) {
    detail::request ask;
    ask.code = detail::opcode::poll_add;
    ask.op_flags = events;
    ask.number = number;
    return {poll_kind, fd != nullptr ? fd->record() : nullptr, ask, readiness_of};
}

}  // namespace

operation<readiness> wait_readable(int fd) { return poll(fd, nullptr, POLLIN | POLLRDHUP); }
operation<readiness> wait_readable(const descriptor& fd) {
    return poll(-1, &fd, POLLIN | POLLRDHUP);
}
operation<readiness> wait_writable(int fd) { return poll(fd, nullptr, POLLOUT); }
operation<readiness> wait_writable(const descriptor& fd) { return poll(-1, &fd, POLLOUT); }

}  // namespace v0
}  // namespace rondo
