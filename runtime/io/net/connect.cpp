// SPDX-License-Identifier: MIT
// Connecting: one attempt, and happy eyeballs (RFC 8305) over several addresses.
//
// The attempts are children of the task that connects. staggered_race starts its children in the
// same rhythm. But there a failure is an exception, and here failures are the rule: all are kept,
// for the message.
#include <rondo/detail/io/net/connect.hpp>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <memory>
#include <optional>

#include <rondo/detail/loop/descriptor.hpp>
#include <rondo/staggered_race.hpp>

#include "io/net/dns.hpp"
#include "io/net/socket_calls.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

// -- one attempt ----------------------------------------------------------------------------------

std::error_code error_of(int result) noexcept {
    return std::error_code(-result, std::system_category());
}

const sockaddr* name_of(const endpoint& where) noexcept {
    return static_cast<const sockaddr*>(where.data());
}

int set_options(const descriptor& socket, const endpoint& where, const connect_options& options) {
    option_setter to(socket);
    const auto size = [](std::size_t bytes) {
        return static_cast<int>(std::min<std::size_t>(bytes, INT_MAX));
    };
    to.set(options.send_buffer != 0, SOL_SOCKET, SO_SNDBUF, size(options.send_buffer));
    to.set(options.receive_buffer != 0, SOL_SOCKET, SO_RCVBUF, size(options.receive_buffer));
    if (!where.is_ip()) return to.error();
    to.set(options.no_delay, IPPROTO_TCP, TCP_NODELAY, 1);
    constexpr std::chrono::seconds most(32767);  // the kernel's limit
    const bool keep_alive = options.keep_alive > duration::zero();
    const duration idle = std::min<duration>(options.keep_alive, most);
    const auto seconds = static_cast<int>(std::chrono::ceil<std::chrono::seconds>(idle).count());
    to.set(keep_alive, SOL_SOCKET, SO_KEEPALIVE, 1);
    to.set(keep_alive, IPPROTO_TCP, TCP_KEEPIDLE, seconds);
    to.set(keep_alive, IPPROTO_TCP, TCP_KEEPINTVL, seconds);
    return to.error();
}

void bind_local(const descriptor& socket, const endpoint& local) {
    if (local.family() == address_family::none) return;
    // A fixed local port is shared by the attempts to several addresses. If the kernel chooses the
    // port, it does so at connect, so that one port serves several destinations.
    int failed = local.port() != 0 ? set_option(socket, SOL_SOCKET, SO_REUSEADDR, 1)
                                   : set_option(socket, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
    if (failed >= 0) failed = bind_name(socket, name_of(local), local.size());
    if (failed < 0) throw std::system_error(error_of(failed), "bind " + local.text());
}

}  // namespace

task<result<descriptor>> try_connect(const endpoint& where, const connect_options& options) {
    const int number = new_socket(name_of(where)->sa_family, SOCK_STREAM, 0);
    if (number < 0) co_return error_of(number);
    descriptor socket = adopt_or_close(number, where.text());
    if (const int failed = set_options(socket, where, options); failed < 0)
        co_return error_of(failed);
    bind_local(socket, options.local);
    auto connect = connect_socket(socket, where);
    const result<void> done = co_await as_result(std::move(connect));
    if (!done) co_return done.error();
    co_return std::move(socket);
}

namespace {

// -- several attempts -----------------------------------------------------------------------------

constexpr std::size_t attempts_max = 32;

/// Orders addresses so that the families take turns, beginning with the family of the first
/// address. Within a family the order is kept (RFC 8305, section 4).
std::vector<endpoint> take_turns(std::vector<endpoint> addresses) {
    const address_family first = addresses.front().family();
    const auto of_first = [&](const endpoint& e) { return e.family() == first; };
    const auto others = std::stable_partition(addresses.begin(), addresses.end(), of_first);
    std::vector<endpoint> turns;
    auto one = addresses.begin(), other = others;
    while (turns.size() < std::min(addresses.size(), attempts_max)) {
        if (one != others) turns.push_back(*one++);
        if (other != addresses.end()) turns.push_back(*other++);
    }
    turns.resize(std::min(turns.size(), attempts_max));
    return turns;
}

/// State shared by the attempts, in the frame of the task that waits for them.
struct attempts {
    const std::vector<endpoint>& where;
    const connect_options& options;
    children group{"connect"};
    std::vector<std::error_code> failures;  // one per attempt
    std::size_t failed = 0;
    std::optional<descriptor> winner;
    std::size_t winner_is = 0;

    attempts(const std::vector<endpoint>& w, const connect_options& o)
        : where(w), options(o), failures(w.size()) {}
};

/// The first attempt that connects keeps its socket and cancels the others. If another connects at
/// the same moment, its socket is closed with its frame.
task<> attempt(attempts& all, std::size_t which) {
    result<descriptor> socket = co_await try_connect(all.where[which], all.options);
    if (!socket) {
        all.failures[which] = socket.error();
        ++all.failed;
    } else if (!all.winner) {
        all.winner.emplace(*std::move(socket));
        all.winner_is = which;
        all.group.cancel();
    }
}

/// "connect localhost:7007: Connection refused"; if the reasons differ, each address with its
/// reason.
[[noreturn]] void throw_failures(const std::string& target, const std::vector<endpoint>& where,
                                 const std::vector<std::error_code>& failures) {
    const std::error_code last = failures.back();
    std::string text = "connect " + target;
    if (std::count(failures.begin(), failures.end(), last) != std::ssize(failures))
        for (std::size_t i = 0; i < failures.size(); ++i) {
            text += (i == 0 ? ": " : ", ") + where[i].text();
            if (i + 1 != failures.size()) text += ": " + failures[i].message();
        }
    throw std::system_error(last, text);
}

task<tcp_stream> connect_to_one(endpoint where, std::string target, connect_options options) {
    result<descriptor> socket = error_of(-EAFNOSUPPORT);
    if (where.is_ip()) socket = co_await try_connect(where, options);
    if (!socket) throw_failures(target, {where}, {socket.error()});
    co_return tcp_stream(*std::move(socket), where);
}

task<tcp_stream> connect_to_any(std::vector<endpoint> where, std::string target,
                                connect_options options) {
    attempts all(where, options);
    std::size_t replaced = 0;  // failures after which the next attempt was started
    for (std::size_t next = 0; next < where.size() && !all.group.over();) {
        try {
            all.group.start(attempt(all, next));
            if (++next == where.size()) break;
            if (all.failed == replaced) co_await until_next_start(all.group, options.attempt_delay);
        } catch (...) {  // no memory
            all.group.fail(std::current_exception());
        }
        if (all.failed != replaced) ++replaced;
    }
    co_await all.group.ended();
    if (all.winner) co_return tcp_stream(*std::move(all.winner), where[all.winner_is]);
    if (all.group.incomplete() || all.group.over()) all.group.rethrow();
    throw_failures(target, where, all.failures);
}

address_family family_of(const connect_options& options) noexcept {
    return options.family != address_family::none ? options.family : options.local.family();
}

task<tcp_stream> connect_to_all(std::vector<endpoint> where, std::string target,
                                connect_options options) {
    if (where.size() == 1)
        co_return co_await connect_to_one(where.front(), std::move(target), options);
    co_return co_await connect_to_any(take_turns(std::move(where)), std::move(target), options);
}

task<tcp_stream> connect_to_host(std::string host, std::uint16_t port, std::string target,
                                 connect_options options) {
    const address_family family = family_of(options);
    addresses_found found = co_await find_addresses(std::move(host), port, family);
    if (found.error) throw std::system_error(found.error, "connect " + target);
    co_return co_await connect_to_all(std::move(found.addresses), std::move(target), options);
}

}  // namespace
}  // namespace detail

task<tcp_stream> connect_tcp(endpoint where, connect_options options) {
    auto connecting = detail::connect_to_one(where, where.text(), options);
    if (options.timeout == duration::max()) return connecting;
    return detail::connect_within(options.timeout, std::move(connecting), where.text());
}

task<tcp_stream> connect_tcp(std::vector<endpoint> addresses, std::string name,
                             connect_options options) {
    if (addresses.empty()) throw error("connect " + name + ": there is no address");
    auto connecting = detail::connect_to_all(std::move(addresses), name, options);
    if (options.timeout == duration::max()) return connecting;
    return detail::connect_within(options.timeout, std::move(connecting), name);
}

task<tcp_stream> connect_tcp(std::string host, std::uint16_t port, connect_options options) {
    std::string shown = detail::shown_host(host);
    if (shown.find(':') != shown.npos && shown.front() != '[') shown = '[' + shown + ']';
    const std::string target = shown + ':' + std::to_string(port);
    auto connecting = detail::connect_to_host(std::move(host), port, target, options);
    if (options.timeout == duration::max()) return connecting;
    return detail::connect_within(options.timeout, std::move(connecting), target);
}

}  // namespace v0
}  // namespace rondo
