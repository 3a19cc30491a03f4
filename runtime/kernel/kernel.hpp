// SPDX-License-Identifier: MIT
// The seam. Everything that rondo asks of an operating system goes through one `kernel`, in four parts:
//   (a) entries go down, completions come up; submit and wait until a deadline; wake from anywhere;
//   (b) descriptor calls that are no entries (class `system`);
//   (c) clock and randomness;
//   (d) running a job elsewhere (threads).
// There are two: `ring` (kernel/ring/ring.cpp) hands the entries to io_uring, `simulator` (kernel/simulator/simulator.cpp) interprets the very same
// 64 bytes on virtual time. A third, on readiness, would be one more interpreter of the same entries. Nothing above
// this line knows which one it runs on, so all of rondo runs unmodified on each.
//
// Errors: calls give a negative errno, as the kernel does; words and exceptions are the business of the layers above.
#pragma once

#include <signal.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include <rondo/detail/kernel/entry.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

struct spawn_request;    // <rondo/detail/kernel/spawn.hpp>
struct started_program;  // there too

/// (b) Descriptor calls that are no entries. Each returns what the system call returns, or -errno. Any thread.
class system {
public:
    virtual ~system() = default;
    virtual int socket(int family, int type, int protocol) = 0;  // SOCK_CLOEXEC is added
    virtual int bind(int fd, const sockaddr* address, socklen_t size) = 0;
    virtual int listen(int fd, int backlog) = 0;
    virtual int local_name(int fd, sockaddr* address, socklen_t* size) = 0;   // getsockname
    virtual int remote_name(int fd, sockaddr* address, socklen_t* size) = 0;  // getpeername
    virtual int set_option(int fd, int level, int name, const void* value, socklen_t size) = 0;
    virtual int get_option(int fd, int level, int name, void* value, socklen_t* size) = 0;
    virtual int socket_pair(int family, int type, int protocol, int* ends) = 0;  // SOCK_CLOEXEC is added
    virtual int pipe(int* ends) = 0;                                             // O_CLOEXEC; reads first
    virtual int pipe_size(int, std::uint32_t) { return -ENOSYS; }                // asks for so much room in it
    virtual int duplicate(int fd) = 0;                                           // close-on-exec
    virtual int truncate(int fd, std::uint64_t size) = 0;                        // may block
    virtual int file_status(int fd, unsigned* mode) = 0;                         // st_mode
    virtual int settle_open(int fd, int flags, unsigned* mode) = 0;  // clears O_NONBLOCK of a file opened with `flags`; st_mode
    virtual std::int64_t position(int) { return -ESPIPE; }           // lseek
    virtual void set_position(int, std::int64_t) {}
    virtual int peer_of_fifo(int) { return -ENOSYS; }  // 1: a writer has the FIFO open, or had; 0: none has
    virtual int spawn(const spawn_request&, started_program&) { return -ENOSYS; }
    /// 1 and the exit code, or minus the signal; 0: it has not ended; -ECHILD: another waiter has the status.
    virtual int reap_program(int, int*) { return -ENOSYS; }
    virtual int signal_program(int, int) { return -ENOSYS; }  // by the descriptor of its pid
    virtual int watch_descriptor() { return -ENOSYS; }                                   // inotify; close-on-exec
    virtual int add_watch(int, const char*, std::uint32_t) { return -ENOSYS; }           // inotify_add_watch
    // Paths, by calls that may block: on a thread.
    virtual int list_directory(const char*, void (*)(void*, const char*, unsigned), void*) { return -ENOSYS; }  // name, st_mode
    virtual int read_link(const char*, std::string*) { return -ENOSYS; }
    virtual int make_directories(const char*) { return -ENOSYS; }
    virtual int remove_tree(const char*, std::uint64_t*) { return -ENOSYS; }  // and how many there were
    virtual bool is_simulated() const noexcept { return false; }
    virtual int signal_descriptor(const sigset_t&) { return -ENOSYS; }  // signalfd; close-on-exec, O_NONBLOCK
    virtual int close(int fd) = 0;  // never while an entry on fd has not completed: descriptors count (law 4)

    /// The operating system itself: what objects made outside any loop use.
    static std::shared_ptr<system> real();
};

/// What one `enter` brought.
struct entered {
    std::size_t completions = 0;  // filled into `out`
    bool stuck = false;           // simulator only: it was asked to wait, and nothing can ever happen again
};

// Whose an entry is, by its user_data: below first_tag the kernel implementation's own; from there below first_address
// a number of the layer above's choice, for entries that nobody waits on (a cancellation); else the address of an
// operation. Only those with an address count as in flight (see `attach`), and an entry with entry_skip_success, whose
// end may go unseen, must carry a tag.
inline constexpr std::uint64_t first_tag = 16;
inline constexpr std::uint64_t first_address = 4096;

/// One operating system as a loop sees it. All calls on the attached thread, but for `wake` and part (b).
class kernel : public system {
public:
    /// Binds to the calling thread; completions are delivered here from now on. Again on another thread: only while
    /// nothing is in flight. Throws std::system_error, uring_unavailable.
    virtual void attach() = 0;

    // -- (a) entries ------------------------------------------------------------------------------------------------
    /// A slot for one more entry, in submission order, all 64 bytes to be written by the caller before any other call
    /// here. Null when the queue is full and cannot be emptied now: ask again after the next `enter`.
    virtual entry* next_entry() noexcept = 0;

    /// Submits every entry made so far and waits until a completion, a `wake`, a signal or `deadline`, whichever is
    /// first; `time_point::min()` does not wait, `time_point::max()` waits without end. Fills at most `room`
    /// completions into `out`, in their order; where it fills all the room there may be more, so ask again without
    /// waiting. An entry whose completion carries no completion_more has ended. Never fails: what cannot be mended
    /// aborts with a sentence.
    virtual entered enter(time_point deadline, completion* out, std::size_t room) noexcept = 0;

    /// Submits every entry made so far, and looks at nothing.
    virtual void submit() noexcept = 0;

    /// Ends the present `enter`, or the next one that would wait. Any thread, also from a signal handler.
    virtual void wake() noexcept = 0;

    /// Gives `fd` a place in a table of the kernel's own, where operations find it without a look-up: the place, for
    /// `entry::fd` with entry_fixed_file, or -1. For descriptors that many operations are on. `forget` before the close.
    virtual int keep(int) noexcept { return -1; }
    virtual void forget(int) noexcept {}
    /// The loop has ended: no descriptor has a place any more, so that one closed later, on whatever thread, is closed.
    virtual void forget_all() noexcept {}

    /// What this kernel cannot do is decided here, not by version numbers.
    virtual bool supports(opcode code) const noexcept = 0;
    virtual bool multishot_accept() const noexcept = 0;
    virtual bool multishot_receive() const noexcept = 0;

    // -- lent buffers -----------------------------------------------------------------------------------------------
    // Receives with entry_pick_buffer take one of them as bytes come, and their completion says which. -ENOBUFS ends
    // them where all are out.
    /// Lends `count` buffers (a power of two) of `size` bytes each, one every `stride` bytes from `memory` on, for
    /// good. Once. 0 or -errno.
    virtual int lend_buffers(char* memory, unsigned count, unsigned size, unsigned stride) noexcept = 0;
    /// This one, which a completion has named, may be filled again.
    virtual void return_buffer(std::uint16_t number) noexcept = 0;

    // -- embedding --------------------------------------------------------------------------------------------------
    /// A descriptor that is readable whenever `enter` without waiting would bring something or `signal_event` was
    /// called; made by the first call. -errno where there is none.
    virtual int event_fd() noexcept = 0;
    /// Stops, and starts again, making it readable by completions. After starting again look once more for completions.
    virtual void watch_event(bool on) noexcept = 0;
    virtual void signal_event() noexcept = 0;  // any thread
    virtual void drain_event() noexcept = 0;

    // -- (c) clock and randomness -----------------------------------------------------------------------------------
    virtual time_point now() noexcept = 0;
    virtual std::uint64_t random() noexcept = 0;

    // -- (d) elsewhere ----------------------------------------------------------------------------------------------
    /// Takes `run(argument)` to be run elsewhere and returns true, or leaves it to the caller's threads (false). The
    /// simulator takes it and runs it on the loop's thread at a seeded virtual moment.
    virtual bool run_elsewhere(void (*run)(void*), void* argument) noexcept = 0;

    struct counters {
        std::uint64_t entries = 0;      // handed out by next_entry and submitted
        std::uint64_t completions = 0;  // given to the loop
        std::uint64_t enters = 0;       // system calls
        std::uint64_t overflows = 0;    // times the completion queue had overflowed into kernel memory
    };
    virtual counters count() const noexcept = 0;
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
