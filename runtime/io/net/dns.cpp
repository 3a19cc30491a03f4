// SPDX-License-Identifier: MIT
// Looking up names: the system's resolver, on threads of its own.
#include <rondo/dns.hpp>

#include <arpa/inet.h>
#include <netdb.h>

#include <utility>

#include <rondo/loop.hpp>

#include "io/net/dns.hpp"
#include "io/net/resolver.hpp"

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

constexpr std::size_t name_max = 253;  // RFC 1035: 255 with the lengths of its labels

/// Waits for the answer. A lock that was granted is given back if its waiter is cancelled; an
/// answer is returned all the same.
class answer_wait : public queue_wait {
public:
    explicit answer_wait(lookup& of) noexcept : queue_wait(kind, of.waiters), of_(of) {}
    bool await_ready() noexcept {
        if (is_cancelled()) return cancel_at_start();
        return of_.job == nullptr && acquired();
    }
    void await_resume() const {
        if (is_refused()) throw cancelled();
    }

private:
    static const char* name_in(const leaf_wait& wait) {
        return static_cast<const answer_wait&>(wait).of_.asked.first.c_str();
    }
    static constexpr wait_kind kind{"resolve", leave, name_in};
    lookup& of_;
};

struct answer_awaitable : only_in_tasks {
    explicit answer_awaitable(lookup& l) noexcept : of(&l) {}
    answer_wait rondo_awaiter() const noexcept { return answer_wait(*of); }
    lookup* of;
};

/// Checks, without asking the system, whether `host` can be a name. "127.1", "0x7f.1" and
/// "2130706433", which getaddrinfo takes for addresses in the old form of inet_aton(3), are
/// refused: a list of allowed hosts would not recognise them.
bool is_nameable(const std::string& host) noexcept {
    in_addr old{};
    if (::inet_aton(host.c_str(), &old) != 0) return false;
    const std::size_t size = host.size() - (!host.empty() && host.back() == '.' ? 1 : 0);
    return size != 0 && size <= name_max && host.find('\0') == host.npos;
}

}  // namespace

task<addresses_found> find_addresses(std::string host, std::uint16_t port, address_family family) {
    addresses_found result;
    const auto fail = [&](int reason) {
        result.error = std::error_code(reason, resolver_category());
    };
    if (const auto literal = endpoint::parse(host, port)) {
        if (family == address_family::none || family == literal->family())
            result.addresses.push_back(*literal);
        else
            fail(EAI_ADDRFAMILY);
        co_return result;
    }
    if (!is_nameable(host)) fail(EAI_NONAME);
    if (family == address_family::unix_socket) fail(EAI_FAMILY);
    if (result.error) co_return result;
    if (cancel_requested()) throw cancelled();

    const lookup::question question(std::move(host), family);
    const lookup_share shared(resolver::of(running_loop()), question);
    co_await answer_awaitable(*shared);
    const answer& found = shared->found;
    if (found.failed == EAI_SYSTEM)
        result.error = std::error_code(found.system_error, std::system_category());
    else if (found.failed != 0 || found.addresses.empty())
        fail(found.failed != 0 ? found.failed : EAI_NONAME);
    for (const endpoint& each : found.addresses) result.addresses.push_back(each.with_port(port));
    co_return result;
}

std::string shown_host(const std::string& host) {
    if (host.empty()) return "an empty name";
    if (host.find('\0') != host.npos) return "a name with a NUL in it";
    if (host.size() > name_max + 1)
        return "a name of " + std::to_string(host.size()) + " characters";
    return host;
}

}  // namespace detail

task<std::vector<endpoint>> resolve(std::string host, std::uint16_t port, address_family family) {
    const std::string name = detail::shown_host(host);
    detail::addresses_found found = co_await detail::find_addresses(std::move(host), port, family);
    if (found.error) throw std::system_error(found.error, "resolve " + name);
    co_return std::move(found.addresses);
}

}  // namespace v0
}  // namespace rondo
