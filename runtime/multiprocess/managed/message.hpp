// SPDX-License-Identifier: MIT
// Messages between managed objects and their server: a size of 4 bytes, then a serialized tuple.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include <rondo/detail/multiprocess/managed_object.hpp>
#include <rondo/ipc_channel.hpp>
#include <rondo/unix.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

inline constexpr std::size_t managed_message_max = 16 * 1024 * 1024;  // bytes

/// A request, as it is sent.
struct managed_request {
    managed_op what = managed_op::map_get;
    std::uint64_t object = 0;
    std::uint64_t index = 0;
    std::string key;
    std::optional<std::string> expected;
    std::string value;

    managed_request() = default;
    std::string to_bytes() const;
    /// Throws: format_error.
    static managed_request from_bytes(std::string_view bytes);
};

/// An answer, as it is sent.
struct managed_reply {
    managed_status status = managed_status::done;
    managed_answer answer;

    managed_reply() = default;
    std::string to_bytes() const;
    /// Throws: format_error.
    static managed_reply from_bytes(std::string_view bytes);
};

/// Throws: limit_error; std::system_error.
task<> send_managed(unix_stream& line, std::string bytes);
/// Returns: empty at the end of the connection.
/// Throws:  limit_error; std::system_error.
task<std::optional<std::string>> receive_managed(unix_stream& line);

/// True if the peer runs as this user.
bool is_own_user(const unix_stream& line);

/// The function of the server's process. It ends, and removes the socket with its folder, when the
/// other end of `lifeline` is closed.
void serve_managed(unix_listener listener, ipc_channel<int> lifeline, std::string folder,
                   std::uint64_t bytes_max);

}  // namespace detail
}  // namespace v0
}  // namespace rondo
