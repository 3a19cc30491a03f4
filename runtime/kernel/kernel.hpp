// SPDX-License-Identifier: MIT
// The seam between rondo and an operating system: class `kernel`. It has four parts:
//   (a) entries go down and completions come up: submit, wait until a deadline, wake from anywhere;
//   (b) descriptor calls that are not entries (class `system`);
//   (c) clock and randomness;
//   (d) running a job elsewhere (threads).
// There are three kernels. `ring` (kernel/ring/ring.cpp) passes the entries to io_uring.
// `readiness_kernel` (kernel/readiness/core.hpp) interprets the same 64 bytes by epoll and plain
// system calls, where io_uring is denied. `simulator` (kernel/simulator/simulator.cpp) interprets
// them on virtual time. The layers above do not know which kernel they run on, so all of rondo runs
// unmodified on each.
//
// Errors: calls return a negative errno, like the kernel. Texts and exceptions are made by the
// layers above.
#pragma once

#include <signal.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include <rondo/detail/kernel/entry.hpp>
#include <rondo/detail/kernel/name_facts.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

struct spawn_request;    // <rondo/detail/kernel/spawn.hpp>
struct started_program;  // <rondo/detail/kernel/spawn.hpp>

/// (b) Descriptor calls that are not entries. Each returns the result of the system call, or
/// -errno.
/// Thread: any.
class system {
public:
    virtual ~system() = default;
    virtual int socket(int family, int type, int protocol) = 0;  // adds SOCK_CLOEXEC
    virtual int bind(int fd, const sockaddr* address, socklen_t size) = 0;
    virtual int listen(int fd, int backlog) = 0;
    virtual int local_name(int fd, sockaddr* address, socklen_t* size) = 0;   // getsockname(2)
    virtual int remote_name(int fd, sockaddr* address, socklen_t* size) = 0;  // getpeername(2)
    virtual int set_option(int fd, int level, int name, const void* value, socklen_t size) = 0;
    virtual int get_option(int fd, int level, int name, void* value, socklen_t* size) = 0;
    /// poll(2) without waiting. Returns: the events that hold now, of POLLIN, POLLRDHUP and those
    /// that are always told.
    virtual int poll_now(int) { return -ENOSYS; }
    /// socketpair(2). Adds SOCK_CLOEXEC.
    virtual int socket_pair(int family, int type, int protocol, int* ends) = 0;
    virtual int pipe(int* ends) = 0;  // adds O_CLOEXEC; ends[0] is the reading end
    virtual int pipe_size(int, std::uint32_t) { return -ENOSYS; }  // F_SETPIPE_SZ: bytes of room
    virtual int duplicate(int fd) = 0;                             // F_DUPFD_CLOEXEC
    /// sendfile(2) that waits for nothing.
    /// Returns: bytes sent, 0 at the end of the file; -EAGAIN: the socket has no room; -ENODATA:
    /// the file's bytes have to be read from the disk first.
    virtual std::int64_t send_uncopied(int, int, std::uint64_t, std::size_t) { return -ENOSYS; }
    virtual int truncate(int fd, std::uint64_t size) = 0;          // may block
    virtual int file_status(int fd, unsigned* mode) = 0;           // stores st_mode
    /// Clears O_NONBLOCK of a file that was opened with `flags`. Stores its st_mode.
    virtual int settle_open(int fd, int flags, unsigned* mode) = 0;
    virtual std::int64_t position(int) { return -ESPIPE; }  // lseek(2)
    virtual void set_position(int, std::int64_t) {}
    /// Returns: 1 if a writer has the FIFO open, or had; 0 if none has.
    virtual int peer_of_fifo(int) { return -ENOSYS; }

    virtual int spawn(const spawn_request&, started_program&) { return -ENOSYS; }
    /// Returns: 1 if the program has ended, and stores its exit code or minus its signal; 0 if it
    /// has not ended; -ECHILD if another waiter has taken the status.
    virtual int reap_program(int, int*) { return -ENOSYS; }
    virtual int signal_program(int, int) { return -ENOSYS; }  // pidfd_send_signal(2)

    virtual int watch_descriptor() { return -ENOSYS; }  // inotify_init1(2), close-on-exec
    virtual int add_watch(int, const char*, std::uint32_t) { return -ENOSYS; }

    // Calls on paths. They may block, so they run on a thread.
    /// Calls the function with the last argument, the name and the st_mode of each entry.
    virtual int list_directory(const char*, void (*)(void*, const char*, unsigned), void*) {
        return -ENOSYS;
    }
    virtual int read_link(const char*, std::string*) { return -ENOSYS; }
    virtual int make_directories(const char*) { return -ENOSYS; }
    /// Stores how many names were removed.
    virtual int remove_tree(const char*, std::uint64_t*) { return -ENOSYS; }

    // Names of Unix sockets. Throw nothing, and follow no link.
    virtual int name_status(const char*, name_facts*) { return -ENOSYS; }  // lstat(2)
    virtual int remove_name(const char*) { return -ENOSYS; }               // unlink(2)
    virtual int set_mode(const char*, unsigned) { return -ENOSYS; }        // chmod(2)
    /// Returns: 0 if a socket listens there, -ECONNREFUSED if none does, or another -errno.
    virtual int find_listener(const sockaddr*, socklen_t) { return -ENOSYS; }
    virtual bool is_simulated() const noexcept { return false; }
    /// signalfd(2), close-on-exec and O_NONBLOCK.
    virtual int signal_descriptor(const sigset_t&) { return -ENOSYS; }
    /// Never called while an entry on `fd` is in flight: descriptors count their entries (law 4).
    virtual int close(int fd) = 0;

    /// Returns: the operating system itself, for objects that are made outside any loop.
    static std::shared_ptr<system> real();
};

/// Result of `enter`.
struct entered {
    std::size_t completions = 0;  // number stored in `out`
    bool stuck = false;           // simulator only: it should wait, and no event can ever occur
};

// user_data tells who made an entry. Values below first_tag belong to the kernel implementation.
// Values from there to first_address are tags, which the layer above chooses for entries that have
// no waiter (a cancellation). Larger values are the address of an operation. Only entries with an
// address count as in flight (see `attach`). An entry with entry_skip_success must carry a tag,
// since its end may not be reported.
inline constexpr std::uint64_t first_tag = 16;
inline constexpr std::uint64_t first_address = 4096;

/// One operating system as a loop sees it. All calls are made on the attached thread, except
/// `wake`, `signal_event` and part (b).
class kernel : public system {
public:
    /// Binds the kernel to the calling thread; completions are delivered there from now on. It can
    /// be called again on another thread only while nothing is in flight.
    /// Throws: std::system_error, uring_unavailable.
    virtual void attach() = 0;

    // -- (a) entries ------------------------------------------------------------------------------
    /// Returns: the slot for the next entry, in submission order. The caller writes all 64 bytes of
    /// it before any other call here. Null if the queue is full and cannot be emptied now: retry
    /// after the next `enter`.
    virtual entry* next_entry() noexcept = 0;

    /// Submits all entries made so far. Then waits for a completion, a `wake`, a signal or
    /// `deadline`; `time_point::min()` does not wait, `time_point::max()` waits without limit.
    ///
    /// Stores at most `room` completions in `out`, in order. If it stores `room` of them there may
    /// be more: call again without waiting. An entry has ended when its completion carries no
    /// completion_more. The call never fails; an error that cannot be handled aborts with a
    /// sentence.
    virtual entered enter(time_point deadline, completion* out, std::size_t room) noexcept = 0;

    /// Submits all entries made so far, without reading completions.
    virtual void submit() noexcept = 0;

    /// Ends the present `enter`, or the next one that would wait.
    /// Thread: any, also from a signal handler.
    virtual void wake() noexcept = 0;

    /// Registers `fd` in a table of the kernel, so that operations on it need no look-up. For
    /// descriptors with many operations. Call unregister_file before closing it.
    /// Returns: its index, for `entry::fd` with entry_fixed_file; -1 if it was not registered.
    virtual int register_file(int) noexcept { return -1; }
    virtual void unregister_file(int) noexcept {}
    /// Unregisters all when the loop has ended. So a descriptor closed later, on any thread, really
    /// closes.
    virtual void unregister_all_files() noexcept {}

    /// Features are decided by these calls, not by version numbers.
    virtual bool supports(opcode code) const noexcept = 0;
    virtual bool multishot_accept() const noexcept = 0;
    virtual bool multishot_receive() const noexcept = 0;

    // -- lent buffers -----------------------------------------------------------------------------
    // A receive with entry_pick_buffer takes a lent buffer when bytes arrive; its completion names
    // the buffer. If all buffers are in use, such receives end with -ENOBUFS.
    /// Lends `count` buffers (a power of two) of `size` bytes each, one every `stride` bytes from
    /// `memory` on, for the life of the kernel. It can be called once. Returns: 0 or -errno.
    virtual int lend_buffers(char* memory, unsigned count, unsigned size,
                             unsigned stride) noexcept = 0;
    /// Returns a buffer that a completion has named: it may be filled again.
    virtual void return_buffer(std::uint16_t number) noexcept = 0;

    // -- embedding --------------------------------------------------------------------------------
    /// Returns: a descriptor that is readable when `enter` without waiting would give something, or
    /// when `signal_event` was called. The first call makes it. -errno if there is none.
    virtual int event_fd() noexcept = 0;
    /// Switches on or off whether completions make it readable. After switching on, check once more
    /// for completions.
    virtual void watch_event(bool on) noexcept = 0;
    virtual void signal_event() noexcept = 0;  // any thread
    virtual void drain_event() noexcept = 0;

    // -- (c) clock and randomness -----------------------------------------------------------------
    virtual time_point now() noexcept = 0;
    virtual std::uint64_t random() noexcept = 0;

    // -- (d) elsewhere ----------------------------------------------------------------------------
    /// Returns: true if the kernel runs `run(argument)` itself; false if the caller must run it on
    /// a thread. The simulator runs it on the loop's thread at a seeded virtual time.
    virtual bool run_elsewhere(void (*run)(void*), void* argument) noexcept = 0;

    struct counters {
        std::uint64_t entries = 0;      // handed out by next_entry and submitted
        std::uint64_t completions = 0;  // given to the loop
        std::uint64_t enters = 0;       // system calls
        std::uint64_t overflows = 0;    // how often the completion queue overflowed into the kernel
    };
    virtual counters count() const noexcept = 0;

    /// Returns: "ring", "readiness" or "simulator".
    virtual const char* name() const noexcept = 0;
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
