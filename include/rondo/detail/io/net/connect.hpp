// SPDX-License-Identifier: MIT
// Steps of connecting: one attempt, and the limit around all of them. A failed attempt is a value
// and not an exception, since one failure of several is not the end.
#pragma once

#include <string>
#include <utility>

#include <rondo/connect.hpp>
#include <rondo/operation.hpp>
#include <rondo/sleep.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

/// Makes one attempt, to an address of any family, and returns a connected socket. Only the options
/// of the socket itself are used. The references must be valid until the await has ended.
/// Throws: std::system_error if the local address cannot be bound, which fails for every target.
/// Cancel: a connection that came about anyway is returned.
RONDO_API task<result<descriptor>> try_connect(const endpoint& where,
                                               const connect_options& options);

/// Awaits `connecting` with a limit whose error names the target; duration::max() means no limit.
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
