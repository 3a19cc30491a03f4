// SPDX-License-Identifier: MIT
// Unix sockets: streams, descriptors in messages, and the files that listeners make.
#include <rondo/unix.hpp>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>

#include <rondo/detail/io/net/connect.hpp>

#include "io/net/listener.hpp"
#include "io/net/message_rights.hpp"
#include "io/net/socket_calls.hpp"
#include "io/stream_turn.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

struct unix_state final : stream_state {
    using stream_state::stream_state;
    std::vector<descriptor> kept;  // their receive lost a race; the bytes are in `ahead`

private:
    /// A client's socket has no name as a rule; then the name that it connected to is used.
    std::string make_name() override {
        endpoint other;
        if (ask_name(fd, remote_name, other) >= 0 && endpoint::parse(other.text()))
            return other.text();
        return ask_name(fd, local_name, other) >= 0 ? other.text() : std::string();
    }
};

constexpr auto send_kind = operation_kind("sendmsg");
constexpr auto receive_kind = operation_kind("recvmsg");

int result_of(operation_state& done) { return done.result; }

task<> send_with(held<> stream, const_buffer data, std::span<const int> numbers) {
    if (data.empty() || numbers.empty() || numbers.size() > descriptors_most)
        throw std::invalid_argument(
            "send_descriptors needs at least one byte and 1 to 253 descriptors");
    control_space control{};
    iovec part{const_cast<char*>(data.data()), data.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    attach_descriptors(message, control, numbers);
    std::size_t gone = 0;
    {
        const auto turn = stream_turn::to_write(*stream, "sendmsg");
        stream->name();
        operation<int> sending(send_kind, stream->fd.record(),
                               message_request(opcode::sendmsg, message, MSG_NOSIGNAL),
                               result_of);
        gone = static_cast<std::size_t>(co_await std::move(sending));
    }
    if (gone == data.size()) co_return;
    try {
        co_await write_awaitable<1>(stream, data.without_first(gone));
    } catch (...) {
        stream->torn = true;
        throw;
    }
}

task<received_descriptors> receive_with(held<> stream, buffer_view into, std::size_t most) {
    received_descriptors got;
    if (!stream->ahead.empty() || into.empty()) {
        // These bytes came without descriptors, or with those of a receive that lost a race.
        got.data = co_await read_awaitable(stream, into);
        got.descriptors = std::move(static_cast<unix_state&>(*stream).kept);
        co_return got;
    }
    const auto turn = stream_turn::to_read(*stream, "recvmsg");
    if (stream->views != nullptr)
        throw invalid_state_error(std::string("recvmsg ") + stream->name() +
                                  ": impossible after read_view, which drops descriptors");
    control_space control{};
    iovec part{into.data(), into.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.bytes.data();
    message.msg_controllen = control.bytes.size();
    stream->name();
    operation<int> receiving(receive_kind, stream->fd.record(),
                             message_request(opcode::recvmsg, message, MSG_CMSG_CLOEXEC),
                             result_of);
    const result<int> came = co_await as_result(std::move(receiving));
    const int count = stream->received(came ? *came : -came.error().value());
    check(count, "recvmsg", stream->name());
    got.descriptors = adopt_descriptors(message);
    // The buffer fits the most that a message can carry. So if it was cut, no number was free.
    const bool cut = (message.msg_flags & MSG_CTRUNC) != 0;
    if (cut || got.descriptors.size() > most) {
        const std::string name = stream->name();
        stream->ahead.prepend(into.first(static_cast<std::size_t>(count)));
        check(cut ? -EMFILE : 0, "recvmsg", name);
        throw limit_error("recvmsg " + name + ": more than " + std::to_string(most) +
                          " descriptors");
    }
    if (count != 0 && has_lost_race()) {
        stream->ahead.append(into.first(static_cast<std::size_t>(count)));
        static_cast<unix_state&>(*stream).kept = std::move(got.descriptors);
        throw cancelled();
    }
    if (count != 0) got.data = chunk(into.first(static_cast<std::size_t>(count)));
    co_return got;
}

// -- the file -------------------------------------------------------------------------------------

/// True if no process listens at that file any more.
bool is_stale(system& os, const endpoint& where) {
    name_facts facts;
    if (name_status(os, where.path().c_str(), facts) < 0 || !S_ISSOCK(facts.mode)) return false;
    const auto* address = static_cast<const sockaddr*>(where.data());
    return find_listener(os, address, where.size()) == -ECONNREFUSED;
}

int check_family(const endpoint& where) noexcept {
    return where.family() == address_family::unix_socket ? 0 : -EAFNOSUPPORT;
}

task<unix_stream> connect_to(endpoint where, connect_options options) {
    check(check_family(where), "connect", where.text());
    result<descriptor> attempt = co_await try_connect(where, options);
    if (!attempt) throw_system_error(attempt.error().value(), "connect", where.text());
    co_return unix_stream(*std::move(attempt));
}

}  // namespace
}  // namespace detail

using detail::check;

unix_stream::unix_stream(descriptor socket)
    : byte_stream(detail::held<>(new detail::unix_state(std::move(socket)))) {}

operation<void> unix_stream::shutdown_write() { return detail::shut_down_write(*state()); }

credentials unix_stream::peer_credentials() const {
    ucred peer{};
    socklen_t size = sizeof peer;
    check(detail::get_option(state()->fd, SOL_SOCKET, SO_PEERCRED, &peer, &size), "getsockopt",
          state()->name());
    credentials who;
    who.pid = peer.pid;
    who.uid = peer.uid;
    who.gid = peer.gid;
    return who;
}

task<> unix_stream::send_descriptors(const_buffer data, std::span<const int> numbers) {
    return detail::send_with(state(), data, numbers);
}
task<received_descriptors> unix_stream::receive_descriptors(buffer_view into,
                                                            std::size_t descriptors_max) {
    return detail::receive_with(state(), into, descriptors_max);
}

endpoint unix_stream::local() const { return detail::local_endpoint(state()->fd); }
endpoint unix_stream::remote() const {
    return detail::remote_endpoint(state()->fd, "");
}

unix_listener unix_listener::bind(const endpoint& where, unix_listen_options options) {
    const std::string name = where.text();
    check(detail::check_family(where), "bind", name);
    const int number = detail::new_socket(AF_UNIX, SOCK_STREAM, 0);
    check(number, "bind", name);
    descriptor fd = detail::adopt_or_close(number, name);
    const auto* address = static_cast<const sockaddr*>(where.data());
    int result = detail::bind_name(fd, address, where.size());
    const auto os = detail::system_here();
    const std::string path = where.path();
    if (result == -EADDRINUSE && options.replace_stale && detail::is_stale(*os, where)) {
        detail::remove_name(*os, path.c_str());
        result = detail::bind_name(fd, address, where.size());
    }
    check(result, "bind", name);
    detail::unix_file file;
    if (!path.empty()) file = detail::unix_file(path);
    try {
        if (!path.empty() && options.permissions != 0)
            check(detail::set_mode(*os, path.c_str(), options.permissions), "chmod", path);
        const detail::unix_file owned = options.remove_at_close ? file : detail::unix_file();
        return unix_listener(detail::listen_at(std::move(fd), where, options.backlog, owned));
    } catch (...) {
        file.remove();
        throw;
    }
}

unix_listener unix_listener::adopt(descriptor listening) {
    return unix_listener(detail::adopt_listening(std::move(listening), true));
}

task<unix_stream> unix_listener::accept() {
    return detail::accept_as<unix_stream>(listener_.accept());
}

task<unix_stream> connect_unix(endpoint where, unix_connect_options options) {
    auto connecting = detail::connect_to(where, {});
    if (options.timeout == duration::max()) return connecting;
    return detail::connect_within(options.timeout, std::move(connecting), where.text());
}

std::pair<unix_stream, unix_stream> socket_pair() {
    int ends[2] = {-1, -1};
    check(detail::new_socket_pair(AF_UNIX, SOCK_STREAM, 0, ends), "socketpair", "");
    auto both = detail::adopt_both(ends, "a pair");
    return {unix_stream(std::move(both.first)), unix_stream(std::move(both.second))};
}

}  // namespace v0
}  // namespace rondo
