// SPDX-License-Identifier: MIT
// Common part of TCP and Unix listeners, for the functions that bind them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include <rondo/detail/loop/descriptor.hpp>
#include <rondo/listener.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

/// The file of a Unix socket. It is removed with its listener, unless another file has its name
/// now.
class unix_file {
public:
    unix_file() noexcept = default;
    explicit unix_file(const std::string& path);
    void remove() noexcept;

private:
    std::string path_;
    std::shared_ptr<system> os_;
    std::uint64_t device_ = 0;
    std::uint64_t inode_ = 0;
};

/// Listens on a socket that has been bound to `where`.
/// Throws: std::system_error.
socket_listener listen_at(descriptor fd, const endpoint& where, int backlog, unix_file file = {});

/// Takes over a socket that listens already, and makes it close-on-exec.
/// Throws: std::system_error; error if it is no listening stream socket, or of another kind: a Unix
///         socket or not. It is closed then.
socket_listener adopt_listening(descriptor fd, bool is_unix);

}  // namespace detail
}  // namespace v0
}  // namespace rondo
