// SPDX-License-Identifier: MIT
// Calls on descriptors that are no entries of the ring: names, options, listening. They go to the
// system that the descriptor came from, the simulated one inside a simulated loop; so that whoever
// writes sockets above layer 2 needs to know neither the kernel nor the loop.
//
// Each gives what its system call gives, or -errno: words and exceptions are the caller's, who
// knows the object.
#pragma once

#include <signal.h>
#include <sys/socket.h>

#include <utility>

#include <rondo/operation.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

/// A program to be started; the strings stay the caller's.
struct spawn_request {
    const char* file = nullptr;  // searched for in PATH
    char* const* arguments = nullptr;
    char* const* environment = nullptr;
    const char* directory = nullptr;  // null: ours
    int streams[3] = {-1, -1, -1};    // what its 0, 1 and 2 are to be; -1: ours
    const int* kept = nullptr;        // further numbers that it has too, the same ones
    std::size_t kept_count = 0;
    bool new_session = false;
    bool new_group = false;
};

/// socket(2), close-on-exec, on the running loop's kernel; outside of any loop on the real system.
RONDO_API int new_socket(int family, int type, int protocol);

/// socketpair(2) and pipe(2), the same way: two numbers in `ends`; of a pipe the first is read from.
RONDO_API int new_socket_pair(int family, int type, int protocol, int* ends);
RONDO_API int new_pipe(int* ends);
/// Asks for so much room in a pipe; less may be granted.
RONDO_API int set_pipe_size(const descriptor& of, std::uint32_t size);
/// Another number for what is behind this one, close-on-exec; of `number`, which nobody has adopted.
RONDO_API int duplicate(const descriptor& of);
RONDO_API int duplicate(int number);
/// st_mode of fstat(2); of `number`, which nobody has adopted.
RONDO_API int file_mode(const descriptor& of, unsigned& mode);
RONDO_API int file_mode(int number, unsigned& mode);
/// ftruncate(2). May block: call it on a thread.
RONDO_API int truncate(const descriptor& on, std::uint64_t size);

/// Starts a program: its pid, and in `pid_descriptor` a pidfd of it; -errno where it cannot be run.
RONDO_API int spawn(const spawn_request& what, int& pid_descriptor);
/// 1 where it has ended, and its exit code, or minus the number of the signal that ended it; 0 where
/// it has not. Once.
RONDO_API int reap(const descriptor& program, int& code);
RONDO_API int signal_program(const descriptor& program, int number);

/// inotify_init1(2) and inotify_add_watch(2), close-on-exec.
RONDO_API int new_watch_descriptor();
RONDO_API int add_watch(const descriptor& to, const char* path, std::uint32_t events);

/// signalfd(2), close-on-exec.
RONDO_API int new_signal_descriptor(const sigset_t& signals);

RONDO_API int bind_name(const descriptor& on, const sockaddr* name, socklen_t size);
RONDO_API int listen_on(const descriptor& on, int backlog);
RONDO_API int local_name(const descriptor& on, sockaddr* name, socklen_t* size);
RONDO_API int remote_name(const descriptor& on, sockaddr* name, socklen_t* size);
RONDO_API int set_option(const descriptor& on, int level, int option, int value);
RONDO_API int set_option(const descriptor& on, int level, int option, const void* value,
                         socklen_t size);
RONDO_API int get_option(const descriptor& on, int level, int option, void* value, socklen_t* size);

/// Closes a number that came of an operation on `from` and that no descriptor has adopted.
RONDO_API void close_beside(const descriptor& from, int number) noexcept;

/// Adopts `number`, which is fresh, or closes it if that fails. A program that runs without its
/// standard streams gets 0, 1 and 2 as fresh numbers; the descriptor has another one then. Throws:
/// std::bad_alloc, std::system_error.
RONDO_API descriptor adopt_or_close(int number, std::string_view name);
/// The same with the two ends of a pipe or of a pair.
RONDO_API std::pair<descriptor, descriptor> adopt_both(const int* ends, std::string_view name);

/// Can one accept of the running loop bring any number of connections?
RONDO_API bool has_multishot_accept() noexcept;
/// Does the kernel behind the running loop know this operation?
RONDO_API bool knows(opcode code) noexcept;

}  // namespace detail
}  // namespace v0
}  // namespace rondo
