// SPDX-License-Identifier: MIT
// What accepts connections, of whatever family: the inside of tcp_listener and unix_listener.
//
// A listener keeps one accept in flight, one that goes on by itself where the kernel has that, and
// hands connections to its waiters in order. What comes while nobody waits is kept, up to a bound,
// behind which the backlog of the kernel does its work again.
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

/// A socket that listens. Move-only; the destructor closes it, and with it what nobody has accepted.
class RONDO_API listening {
public:
    listening(descriptor fd, const endpoint& where, unix_file file);
    listening(listening&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
    listening& operator=(listening&& other) noexcept {
        listening old(std::move(other));
        std::swap(state_, old.state_);
        return *this;
    }
    ~listening();

    task<descriptor> accept() const;
    void report_shortages() const noexcept;
    endpoint local() const noexcept;
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
