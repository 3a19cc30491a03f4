// SPDX-License-Identifier: MIT
// The steps of connecting, for those who do it: one attempt, the addresses that there are to try,
// the limit around everything. Errors of attempts are values, since one failure of several is not
// the end.
#pragma once

#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <rondo/dns.hpp>
#include <rondo/operation.hpp>
#include <rondo/sleep.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

/// Where a host may be reached, or why nowhere.
struct addresses_found {
    std::vector<endpoint> addresses;
    std::error_code error;
    addresses_found() = default;  // no aggregate: see docs/gcc12.md
};
task<addresses_found> find_addresses(std::string host, std::uint16_t port, address_family family);

/// As it may stand in a text: "a name of 300 characters".
std::string shown_host(const std::string& host);

/// One attempt, to an address of any family: a connected socket. Of the options it heeds those that
/// are about the socket. Whatever refers here is there until the await has ended.
/// Throws: std::system_error where the local address cannot be bound, whatever is connected to.
/// Cancel: a connection that came about anyway is returned.
RONDO_API task<result<descriptor>> try_connect(const endpoint& where,
                                               const connect_options& options);

/// `connecting`, with a limit whose error names the target; duration::max() is none.
template <class T>
task<T> connect_within(duration limit, task<T> connecting, std::string target) {
    timeout_scope scope(deadline_after(limit));
    try {
        co_return co_await std::move(connecting);
    } catch (const cancelled&) {
        if (!scope.timed_out()) throw;
    }
    throw timeout_error("connect " + target, limit);
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
