// SPDX-License-Identifier: MIT
// Calls on descriptors that are no entries of the ring: names, options, listening. They go to the
// system that the descriptor came from, the simulated one inside a simulated loop; so that whoever
// writes sockets above layer 2 needs to know neither the kernel nor the loop.
//
// Each gives what its system call gives, or -errno: words and exceptions are the caller's, who
// knows the object.
#pragma once

#include <sys/socket.h>

#include <rondo/operation.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

/// socket(2), close-on-exec, on the running loop's kernel; outside of any loop on the real system.
RONDO_API int new_socket(int family, int type, int protocol);

RONDO_API int bind_name(const descriptor& on, const sockaddr* name, socklen_t size);
RONDO_API int listen_on(const descriptor& on, int backlog);
RONDO_API int local_name(const descriptor& on, sockaddr* name, socklen_t* size);
RONDO_API int remote_name(const descriptor& on, sockaddr* name, socklen_t* size);
RONDO_API int set_option(const descriptor& on, int level, int option, int value);
RONDO_API int get_option(const descriptor& on, int level, int option, void* value, socklen_t* size);

/// Closes a number that came of an operation on `from` and that no descriptor has adopted.
RONDO_API void close_beside(const descriptor& from, int number) noexcept;

/// Adopts `number`, or closes it where there is no memory for that.
/// Throws: std::bad_alloc.
RONDO_API descriptor adopt_or_close(int number, std::string_view name);

/// Can one accept of the running loop bring any number of connections?
RONDO_API bool has_multishot_accept() noexcept;

}  // namespace detail
}  // namespace v0
}  // namespace rondo
