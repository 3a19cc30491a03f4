// SPDX-License-Identifier: MIT
// Messages between two processes of one program: values (serialize.hpp) and, beside them, open descriptors.
//
//     auto [ours, theirs] = rondo::ipc_channel<job>::pair();
//     auto worker = rondo::command("/proc/self/exe", "--worker", std::to_string(theirs.number()))
//                       .keep(theirs.number()).spawn();
//     co_await ours.send(job{...});
//
// Over a SOCK_SEQPACKET socket: one message is one packet, whole or not at all, and several processes may send and receive
// at the same end. It has no name that somebody else could find.
#pragma once

#include <concepts>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <rondo/operation.hpp>
#include <rondo/serialize.hpp>
#include <rondo/task.hpp>

namespace rondo {
inline namespace v0 {

/// How large a message may be, in bytes: a sender is refused, a receiver throws, where it is larger.
struct ipc_channel_options {
    std::size_t message_max = 64 * 1024;
};
static_assert(std::is_trivially_destructible_v<ipc_channel_options>);

namespace detail {

/// A packet that came.
struct ipc_packet {
    std::string bytes;  // empty: the end
    std::vector<descriptor> descriptors;
    ipc_packet() = default;
};

/// The channel, but for its type.
class RONDO_API ipc_socket {
public:
    ipc_socket() noexcept = default;
    ipc_socket(descriptor socket, ipc_channel_options options);
    static std::pair<ipc_socket, ipc_socket> pair(ipc_channel_options options);

    task<> send(std::string bytes, std::vector<int> numbers);
    task<ipc_packet> receive();
    void blocking_send(const std::string& bytes, std::span<const int> numbers);
    ipc_packet blocking_receive();
    descriptor socket;

private:
    void check_size(std::size_t bytes, std::size_t numbers) const;
    ipc_channel_options options_;
};

}  // namespace detail

/// What came with its descriptors, which are close-on-exec.
template <class T>
class ipc_message {
public:
    ipc_message(T v, std::vector<descriptor> d) : value(std::move(v)), descriptors(std::move(d)) {}
    T value;
    std::vector<descriptor> descriptors;
};

/// One end. Move-only; its destructor closes it, and the other end, if nobody else has this one, hears of it.
/// Thread: its loop's; the blocking forms any. See: multiprocessing.Pipe, unix(7).
template <serializable T>
class ipc_channel {
public:
    /// Not open.
    ipc_channel() noexcept = default;
    /// Takes over the number of an end that was inherited, close-on-exec from now on.
    /// Throws: std::system_error; error where it is no such socket. It is closed then.
    explicit ipc_channel(int number, ipc_channel_options options = {})
        : socket_(descriptor::adopt(number, "ipc channel"), options) {}
    /// Of an end that came as a descriptor.
    explicit ipc_channel(descriptor end, ipc_channel_options options = {})
        : socket_(std::move(end), options) {}
    /// Two ends.
    /// Throws: std::system_error.
    static std::pair<ipc_channel, ipc_channel> pair(ipc_channel_options options = {}) {
        auto both = detail::ipc_socket::pair(options);
        return {ipc_channel(std::move(both.first)), ipc_channel(std::move(both.second))};
    }

    /// Sends a value, and open descriptors beside it, at most 253, which stay open here too. Waits while the socket's
    /// buffer is full.
    /// Throws: limit_error; std::system_error, EPIPE where nobody can receive any more.
    /// Cancel: nothing has gone, or all of it: then it returns, and the next wait throws.
    template <std::same_as<int>... Numbers>
    task<> send(const T& value, Numbers... numbers) {
        return socket_.send(serialize(value), std::vector<int>{numbers...});
    }
    task<> send(const T& value, std::vector<int> numbers) {
        return socket_.send(serialize(value), std::move(numbers));
    }
    /// The next value; empty once nobody can send any more: every copy of the other end must be closed for that, also the
    /// one that a child was started with. Descriptors that came with the value are closed.
    /// Throws: format_error where it is no T; limit_error where it is too large; std::system_error.
    /// Cancel: takes nothing.
    task<std::optional<T>> receive() {
        auto packet = co_await socket_.receive();
        if (packet.bytes.empty()) co_return std::nullopt;
        co_return deserialize<T>(packet.bytes);
    }
    /// The same with the descriptors.
    task<std::optional<ipc_message<T>>> receive_message() {
        auto packet = co_await socket_.receive();
        if (packet.bytes.empty()) co_return std::nullopt;
        co_return ipc_message<T>(deserialize<T>(packet.bytes), std::move(packet.descriptors));
    }

    // -- plain threads: never from a task ---------------------------------------------------------------------------------
    void blocking_send(const T& value, std::span<const int> numbers = {}) {
        socket_.blocking_send(serialize(value), numbers);
    }
    std::optional<T> blocking_receive() {
        const auto packet = socket_.blocking_receive();
        if (packet.bytes.empty()) return std::nullopt;
        return deserialize<T>(packet.bytes);
    }
    std::optional<ipc_message<T>> blocking_receive_message() {
        auto packet = socket_.blocking_receive();
        if (packet.bytes.empty()) return std::nullopt;
        return ipc_message<T>(deserialize<T>(packet.bytes), std::move(packet.descriptors));
    }

    bool is_open() const noexcept { return socket_.socket.is_open(); }
    explicit operator bool() const noexcept { return is_open(); }
    /// For `command::keep`, or to be sent through another channel.
    int number() const noexcept { return socket_.socket.number(); }
    detail::closing close() noexcept { return socket_.socket.close(); }

private:
    explicit ipc_channel(detail::ipc_socket socket) noexcept : socket_(std::move(socket)) {}
    detail::ipc_socket socket_;
};

}  // namespace v0
}  // namespace rondo
