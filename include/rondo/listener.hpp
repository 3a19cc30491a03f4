// SPDX-License-Identifier: MIT
// Accepting connections of any family: the common part of tcp_listener and unix_listener.
//
// A listener keeps one accept in flight, a multishot one if the kernel has it, and hands
// connections to its waiters in order. Connections that come while no task waits are kept, up to a
// bound. Beyond that bound they stay in the kernel's backlog. A listener whose socket other
// processes may have too accepts one connection at a time, and only while a task waits.
#pragma once

#include <utility>

#include <rondo/endpoint.hpp>
#include <rondo/operation.hpp>
#include <rondo/stream.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

struct listener_state;
class unix_file;

/// A listening socket. Move-only; the destructor closes it, and with it the connections that were
/// not accepted.
class RONDO_API socket_listener {
public:
    socket_listener(descriptor fd, const endpoint& where, unix_file file);
    socket_listener(socket_listener&& other) noexcept
        : state_(std::exchange(other.state_, nullptr)) {}
    socket_listener& operator=(socket_listener&& other) noexcept {
        socket_listener old(std::move(other));
        std::swap(state_, old.state_);
        return *this;
    }
    ~socket_listener();

    task<descriptor> accept() const;
    void report_shortages() const noexcept;
    endpoint local() const noexcept;
    int number() const noexcept;
    void share() const noexcept;  // from now on other processes accept from the socket too
    bool is_open() const noexcept;
    closing close() const noexcept;

private:
    listener_state* state_ = nullptr;
};

template <class Stream>
task<Stream> accept_as(task<descriptor> accepting) {
    descriptor fd = co_await std::move(accepting);
    co_return Stream(std::move(fd));
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
