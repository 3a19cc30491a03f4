// SPDX-License-Identifier: MIT
// Messages between two processes of one program: values (serialize.hpp) and open descriptors.
//
//     auto [ours, theirs] = rondo::ipc_channel<job>::pair();
//     auto worker = rondo::command("/proc/self/exe", "--worker", std::to_string(theirs.number()))
//                       .keep(theirs.number()).spawn();
//     co_await ours.send(job{...});
//
// The channel is a pair of SOCK_SEQPACKET sockets. One message is one packet: it arrives whole or
// not at all, so several processes may send and receive at the same end. The sockets have no name,
// so no other process can connect.
#pragma once

#include <concepts>
#include <cstddef>
#include <memory>
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

/// Options of an ipc_channel.
struct ipc_channel_options {
    std::size_t message_max = 64 * 1024;  ///< bytes; send and receive throw limit_error above that
};
static_assert(std::is_trivially_destructible_v<ipc_channel_options>);

namespace detail {

/// A received packet.
struct ipc_packet {
    std::string bytes;  // empty: end of the channel
    std::vector<descriptor> descriptors;
    ipc_packet() = default;
};

struct ipc_kept;

/// The untyped part of a channel.
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
    std::shared_ptr<ipc_kept> kept_;  // packets whose receive lost a race
};

}  // namespace detail

/// A received value with its descriptors, which are close-on-exec.
template <class T>
class ipc_message {
public:
    ipc_message(T v, std::vector<descriptor> d) : value(std::move(v)), descriptors(std::move(d)) {}
    T value;
    std::vector<descriptor> descriptors;
};

/// One end of a channel. Move-only. The destructor closes the end; when its last copy is closed,
/// the other end receives the end of the channel.
/// Thread: its loop's; the blocking functions: any.
/// See:    multiprocessing.Pipe, unix(7).
template <serializable T>
class ipc_channel {
public:
    /// Not open.
    ipc_channel() noexcept = default;
    /// Takes over an inherited descriptor number, and makes it close-on-exec.
    /// Throws: std::system_error; error if it is not a Unix SOCK_SEQPACKET socket. The descriptor
    ///         is closed then.
    explicit ipc_channel(int number, ipc_channel_options options = {})
        : socket_(descriptor::adopt(number, "ipc channel"), options) {}
    /// Takes over an end that was received as a descriptor.
    /// Throws: as above.
    explicit ipc_channel(descriptor end, ipc_channel_options options = {})
        : socket_(std::move(end), options) {}
    /// As the constructors, under the name that other objects in descriptors have.
    static ipc_channel adopt(int number) { return ipc_channel(number); }
    static ipc_channel adopt(descriptor end) { return ipc_channel(std::move(end)); }
    /// Makes a channel and returns its two ends.
    /// Throws: std::system_error.
    /// See:    socketpair(2).
    static std::pair<ipc_channel, ipc_channel> pair(ipc_channel_options options = {}) {
        auto both = detail::ipc_socket::pair(options);
        return {ipc_channel(std::move(both.first)), ipc_channel(std::move(both.second))};
    }

    /// Sends a value and at most 253 open descriptors, which stay open in this process too. Waits
    /// while the socket's buffer is full.
    /// Throws: limit_error; std::system_error, with EPIPE if every copy of the other end is closed.
    /// Cancel: either nothing was sent and it throws, or the whole message was: then it returns,
    ///         and the next wait throws.
    template <std::same_as<int>... Numbers>
    task<> send(const T& value, Numbers... numbers) {
        return socket_.send(serialize(value), std::vector<int>{numbers...});
    }
    task<> send(const T& value, std::vector<int> numbers) {
        return socket_.send(serialize(value), std::move(numbers));
    }
    /// Receives the next value, and closes descriptors that came with it. Empty at the end of the
    /// channel: when every copy of the other end is closed, also the one that a child was started
    /// with.
    /// Throws: format_error if the message is not a T; limit_error if it is larger than message_max
    ///         or has more than 253 descriptors; std::system_error.
    /// Cancel: takes no message.
    task<std::optional<T>> receive() {
        auto packet = co_await socket_.receive();
        if (packet.bytes.empty()) co_return std::nullopt;
        co_return deserialize<T>(packet.bytes);
    }
    /// Like receive, but gives the descriptors too.
    task<std::optional<ipc_message<T>>> receive_message() {
        auto packet = co_await socket_.receive();
        if (packet.bytes.empty()) co_return std::nullopt;
        co_return ipc_message<T>(deserialize<T>(packet.bytes), std::move(packet.descriptors));
    }

    // -- for plain threads, never in a task: these block the thread -------------------------------
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
    /// The descriptor's number, for `command::keep` or to be sent through another channel.
    int number() const noexcept { return socket_.socket.number(); }
    detail::closing close() noexcept { return socket_.socket.close(); }

private:
    explicit ipc_channel(detail::ipc_socket socket) noexcept : socket_(std::move(socket)) {}
    detail::ipc_socket socket_;
};

}  // namespace v0
}  // namespace rondo
