// SPDX-License-Identifier: MIT
// Looking up names, and connecting.
#include <rondo/dns.hpp>

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <optional>

#include <rondo/detail/descriptor.hpp>
#include <rondo/executor.hpp>
#include <rondo/sleep.hpp>

namespace rondo {
inline namespace v0 {

namespace {

class resolver_errors final : public std::error_category {
public:
    const char* name() const noexcept override { return "resolver"; }
    std::string message(int value) const override { return ::gai_strerror(value); }
};

}  // namespace

const std::error_category& resolver_category() noexcept {
    static const resolver_errors category;
    return category;
}

namespace detail {

namespace {

// -- looking up -----------------------------------------------------------------------------------

constexpr std::size_t name_max = 253;  // RFC 1035: 255 with the lengths of its labels

struct answer {
    std::vector<endpoint> addresses;
    std::error_code error;
    answer() = default;  // no aggregate: see docs/gcc12.md
};

/// On a thread.
answer look_up(const std::string& host, std::uint16_t port) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICSERV;
    addrinfo* found = nullptr;
    const int failed = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
    const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owned(found, [](addrinfo* list) {
        if (list != nullptr) ::freeaddrinfo(list);
    });
    answer result;
    if (failed == EAI_SYSTEM)
        result.error = std::error_code(errno, std::system_category());
    else if (failed != 0)
        result.error = std::error_code(failed, resolver_category());
    for (const addrinfo* each = found; each != nullptr; each = each->ai_next) {
        const auto address = endpoint::from_system(each->ai_addr, each->ai_addrlen);
        auto& all = result.addresses;
        const bool known = std::find(all.begin(), all.end(), address) != all.end();
        if (!known && address.family() != address_family::none) all.push_back(address);
    }
    if (result.addresses.empty() && !result.error)
        result.error = std::error_code(EAI_NONAME, resolver_category());
    return result;
}

/// A task of its own, so that whoever asked may leave.
task<answer> look_up_on_thread(std::string host, std::uint16_t port) {
    auto call = to_thread(look_up, std::move(host), port);
    co_return co_await call;
}

/// Without asking anybody: why `host` cannot be a name.
bool is_nameable(const std::string& host) noexcept {
    const std::size_t size = host.size() - (!host.empty() && host.back() == '.' ? 1 : 0);
    return size != 0 && size <= name_max && host.find('\0') == host.npos;
}

task<answer> find_addresses(std::string host, std::uint16_t port) {
    answer result;
    if (const auto literal = endpoint::parse(host, port)) {
        result.addresses.push_back(*literal);
        co_return result;
    }
    if (!is_nameable(host)) {
        result.error = std::error_code(EAI_NONAME, resolver_category());
        co_return result;
    }
    auto lookup = create_task(look_up_on_thread(std::move(host), port), {.name = "resolve"});
    auto waiting = shield(std::move(lookup));
    co_return co_await std::move(waiting);
}

/// As it may stand in a text: "a name of 300 characters".
std::string shown(const std::string& host) {
    if (host.empty()) return "an empty name";
    if (host.find('\0') != host.npos) return "a name with a NUL in it";
    if (host.size() > name_max + 1)
        return "a name of " + std::to_string(host.size()) + " characters";
    return host;
}

// -- connecting -----------------------------------------------------------------------------------

constexpr auto connect_kind = operation_kind("connect");

std::error_code error_of(int result) noexcept {
    return std::error_code(-result, std::system_category());
}

/// One attempt. Its failure is a value: where there are several addresses it is not yet the end.
task<result<tcp_stream>> try_connect(endpoint where, bool no_delay) {
    const auto* address = static_cast<const sockaddr*>(where.data());
    const int number = new_socket(address->sa_family, SOCK_STREAM, 0);
    if (number < 0) co_return error_of(number);
    descriptor fd = adopt_or_close(number, where.text());
    if (no_delay)
        if (const int failed = set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1); failed < 0)
            co_return error_of(failed);
    request ask;
    ask.code = opcode::connect;
    ask.address = address_of(address);
    ask.offset = where.size();
    operation<void> connect(connect_kind, fd.record(), ask, [](operation_state&) {});
    const result<void> done = co_await as_result(std::move(connect));
    if (!done) co_return done.error();
    co_return tcp_stream(std::move(fd), where);
}

struct failure {
    endpoint where;
    std::error_code error;
};

/// "connect localhost:7007: Connection refused", or the whole list where the reasons differ.
[[noreturn]] void throw_failures(const std::string& target, const std::vector<failure>& all) {
    const std::error_code last = all.back().error;
    std::string text = "connect " + target;
    const bool alike =
        std::all_of(all.begin(), all.end(), [&](const failure& f) { return f.error == last; });
    if (!alike)
        for (const failure& each : all) {
            text += (&each == &all.front() ? ": " : ", ") + each.where.text();
            if (&each != &all.back()) text += ": " + each.error.message();
        }
    throw std::system_error(last, text);
}

task<tcp_stream> connect_to(std::string host, std::uint16_t port, std::string target,
                            bool no_delay) {
    const answer found = co_await find_addresses(std::move(host), port);
    if (found.error) throw std::system_error(found.error, "connect " + target);
    std::vector<failure> failures;
    for (const endpoint& each : found.addresses) {
        result<tcp_stream> attempt = co_await try_connect(each, no_delay);
        if (attempt) co_return *std::move(attempt);
        failures.push_back({each, attempt.error()});
    }
    throw_failures(target, failures);
}

task<tcp_stream> connect_to(endpoint where, bool no_delay) {
    result<tcp_stream> attempt = co_await try_connect(where, no_delay);
    if (!attempt) throw_failures(where.text(), {{where, attempt.error()}});
    co_return *std::move(attempt);
}

/// `connecting`, with a limit whose error names the target.
task<tcp_stream> within(duration limit, task<tcp_stream> connecting, std::string target) {
    timeout_scope scope(deadline_after(limit));
    try {
        co_return co_await std::move(connecting);
    } catch (const cancelled&) {
        if (!scope.timed_out()) throw;
    }
    throw timeout_error("connect " + target, limit);
}

}  // namespace
}  // namespace detail

task<std::vector<endpoint>> resolve(std::string host, std::uint16_t port) {
    const std::string name = detail::shown(host);
    detail::answer found = co_await detail::find_addresses(std::move(host), port);
    if (found.error) throw std::system_error(found.error, "resolve " + name);
    co_return std::move(found.addresses);
}

task<tcp_stream> connect_tcp(endpoint where, connect_options options) {
    auto connecting = detail::connect_to(where, options.no_delay);
    if (options.timeout == duration::max()) return connecting;
    return detail::within(options.timeout, std::move(connecting), where.text());
}

task<tcp_stream> connect_tcp(std::string host, std::uint16_t port, connect_options options) {
    std::string shown = detail::shown(host);
    if (shown.find(':') != shown.npos && shown.front() != '[') shown = '[' + shown + ']';
    const std::string target = shown + ':' + std::to_string(port);
    auto connecting = detail::connect_to(std::move(host), port, target, options.no_delay);
    if (options.timeout == duration::max()) return connecting;
    return detail::within(options.timeout, std::move(connecting), target);
}

}  // namespace v0
}  // namespace rondo
