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

#include <memory>
#include <string>
#include <utility>

#include <rondo/detail/kernel/spawn.hpp>
#include <rondo/operation.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

class system;

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
/// Keeps what st_mode says about reading and writing: whether the kernel keeps a position, and
/// whether writes may block a thread.
RONDO_API void note_mode(const descriptor& of, unsigned mode) noexcept;
RONDO_API bool has_slow_writes(const descriptor_record& of) noexcept;
/// Notes the kernel's position before a transfer that begins there; false if there is none.
RONDO_API bool note_position(descriptor_record& of) noexcept;
/// After a transfer that has moved fewer bytes than it was asked to: puts the position behind them.
/// io_uring leaves it where it was if an error ended the transfer, and what follows would go over
/// what is there.
RONDO_API void mend_position(descriptor_record& of, std::int64_t moved) noexcept;
/// Of a file just opened with `flags`: clears O_NONBLOCK, gives st_mode and notes it.
RONDO_API int settle_open(const descriptor& of, int flags, unsigned& mode);
/// 1 if a writer has opened the FIFO that this one reads from, 0 if none has yet.
RONDO_API int peer_of_fifo(const descriptor& of);

/// The running loop's system; outside of any loop the real one.
RONDO_API std::shared_ptr<system> system_here();
/// Is that a simulated one? Then paths of the real system are nothing of ours.
RONDO_API bool is_simulated_here();
/// Calls on paths that are no entries. They may block: call them on a thread. `each` is called with
/// `word`, a name and its st_mode, 0 if the file system does not say.
RONDO_API int list_directory(system& os, const char* path,
                             void (*each)(void* word, const char* name, unsigned mode), void* word);
RONDO_API int read_link(system& os, const char* path, std::string& target);
RONDO_API int make_directories(system& os, const char* path);
/// `count` is how many files and directories were removed.
RONDO_API int remove_tree(system& os, const char* path, std::uint64_t& count);

/// ftruncate(2). May block: call it on a thread.
RONDO_API int truncate(const descriptor& on, std::uint64_t size);

/// Starts a program, which gets no descriptor but its streams and those kept. Returns 0, or -errno if it cannot be run.
RONDO_API int spawn(const spawn_request& what, started_program& started);
/// 1 where it has ended, and its exit code, or minus the number of the signal that ended it; 0 where
/// it has not; -ECHILD where another waiter of this process took the status. Once.
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
