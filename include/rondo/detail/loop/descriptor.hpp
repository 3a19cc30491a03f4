// SPDX-License-Identifier: MIT
// System calls on descriptors that are no entries of the ring: names, options, listening. They go
// to the system of the descriptor, which is the simulator inside a simulated loop. So code for
// sockets above the layer `loop` needs to know neither the kernel nor the loop.
//
// Each returns the result of its system call, or -errno. The caller makes the exception, since it
// knows the object.
#pragma once

#include <signal.h>
#include <sys/socket.h>

#include <memory>
#include <string>
#include <utility>

#include <rondo/detail/kernel/name_facts.hpp>
#include <rondo/detail/kernel/spawn.hpp>
#include <rondo/operation.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

class system;

/// socket(2), close-on-exec, on the running loop's kernel; outside of any loop, on the real system.
RONDO_API int new_socket(int family, int type, int protocol);

/// socketpair(2) and pipe(2), likewise. `ends` gets two numbers; of a pipe, the first is the read
/// end.
RONDO_API int new_socket_pair(int family, int type, int protocol, int* ends);
RONDO_API int new_pipe(int* ends);
/// Sets the capacity of a pipe in bytes; the kernel may grant less.
RONDO_API int set_pipe_size(const descriptor& of, std::uint32_t size);
/// sendfile(2) that waits for nothing.
/// Returns: bytes sent, 0 at the end of the file; -EAGAIN: the socket has no room; -ENODATA: the
///          bytes have to be read from the disk first; or another -errno.
std::int64_t send_from_memory(const descriptor& socket, const descriptor& file,
                              std::uint64_t offset, std::size_t count);
/// Duplicates a descriptor, close-on-exec; or `number`, which no descriptor has adopted.
RONDO_API int duplicate(const descriptor& of);
RONDO_API int duplicate(int number);
/// Gets st_mode by fstat(2); also of `number`, which no descriptor has adopted.
RONDO_API int file_mode(const descriptor& of, unsigned& mode);
RONDO_API int file_mode(int number, unsigned& mode);
/// Records two facts from st_mode: whether the kernel keeps a position, and whether writes may
/// block a thread.
RONDO_API void note_mode(const descriptor& of, unsigned mode) noexcept;
RONDO_API bool has_slow_writes(const descriptor_record& of) noexcept;
/// Records the kernel's position before a transfer that begins there. False if there is none.
RONDO_API bool note_position(descriptor_record& of) noexcept;
/// After a transfer that moved fewer bytes than requested: sets the position to the end of the
/// bytes moved. If an error ended the transfer, io_uring leaves the position where it was, and the
/// next transfer would overwrite them.
RONDO_API void mend_position(descriptor_record& of, std::int64_t moved) noexcept;
/// Sets the position back to where the last transfer began.
RONDO_API void restore_position(descriptor_record& of) noexcept;
/// For a file just opened with `flags`: clears O_NONBLOCK, gets st_mode and records it.
RONDO_API int settle_open(const descriptor& of, int flags, unsigned& mode);
/// 1 if a writer has opened the FIFO that `of` reads from, 0 if none has yet.
RONDO_API int peer_of_fifo(const descriptor& of);

/// The system of the running loop; outside of any loop, the real one.
RONDO_API std::shared_ptr<system> system_here();
/// True if that is a simulated one, in which paths of the real system do not exist.
RONDO_API bool is_simulated_here();
/// System calls on paths that are no entries. They may block: call them on a thread. list_directory
/// calls `each` with `word`, a name and its st_mode; that is 0 if the file system does not tell it.
RONDO_API int list_directory(system& os, const char* path,
                             void (*each)(void* word, const char* name, unsigned mode), void* word);
RONDO_API int read_link(system& os, const char* path, std::string& target);
RONDO_API int make_directories(system& os, const char* path);
/// `count` is set to the number of files and directories removed.
RONDO_API int remove_tree(system& os, const char* path, std::uint64_t& count);

// Names of Unix sockets. A link at the end is not followed.
RONDO_API int name_status(system& os, const char* path, name_facts& facts);
RONDO_API int remove_name(system& os, const char* path) noexcept;
RONDO_API int set_mode(system& os, const char* path, unsigned mode);
/// Returns: 0 if a socket listens there, -ECONNREFUSED if none does, or another -errno.
RONDO_API int find_listener(system& os, const sockaddr* name, socklen_t size);

/// ftruncate(2). May block: call it on a thread.
RONDO_API int truncate(const descriptor& on, std::uint64_t size);

/// Starts a program, which inherits only its streams and the descriptors to keep. Returns 0, or
/// -errno if it cannot be run.
RONDO_API int spawn(const spawn_request& what, started_program& started);
/// Returns 1 if it has ended, 0 if not, -ECHILD if another waiter of this process took the status.
/// `code` is its exit code, or minus the number of the signal that ended it. The status can be
/// taken once.
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
/// poll(2) for POLLIN and POLLRDHUP, without waiting. Returns: the events that hold.
RONDO_API int poll_now(const descriptor& on);

/// Closes a number that an operation on `from` returned and that no descriptor has adopted.
RONDO_API void close_beside(const descriptor& from, int number) noexcept;

/// Adopts `number`, which was just created, or closes it if that fails. A program that runs without
/// standard streams gets 0, 1 and 2 as new numbers; the descriptor then has a higher one.
/// Throws: std::bad_alloc, std::system_error.
RONDO_API descriptor adopt_or_close(int number, std::string_view name);
/// The same for both ends of a pipe or of a socket pair.
RONDO_API std::pair<descriptor, descriptor> adopt_both(const int* ends, std::string_view name);

/// True if the kernel of the running loop has multishot accept.
RONDO_API bool has_multishot_accept() noexcept;
/// True if the kernel of the running loop supports this operation.
RONDO_API bool knows(opcode code) noexcept;

}  // namespace detail
}  // namespace v0
}  // namespace rondo
