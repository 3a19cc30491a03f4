// SPDX-License-Identifier: MIT
// A simulated kernel. It interprets the same 64-byte entries on virtual time, from a seed, so that
// all of rondo runs on it unmodified. It simulates networks in microseconds and ten hours of timers
// in no time, and every bug can be replayed by its seed.
//
// Time moves only inside `enter`. If `enter` waits, time jumps to the next event, but never past
// the deadline. After the first completion it also runs the events due within a seeded time
// (`batch`): on a real kernel they would occur before the thread runs. If `enter` does not wait,
// time moves by a seeded step of at most a microsecond, so that a busy loop makes progress. `enter`
// reports `stuck` if it should wait without limit and no event is left.
//
// Cancelling is as difficult as on the real kernel. An operation that has not begun to complete
// ends with -ECANCELED, or with the bytes that MSG_WAITALL has moved. For one that is about to
// complete, the seed decides the outcome, and the cancel returns 0 or -EALREADY. The target of a
// cancel is found at submission; it is never a later operation with the same address.
//
// An opcode or flag that is not simulated ends with -EINVAL, as an unknown one does on Linux, and a
// line on stderr names it. Only a breach of law 4 aborts, with a sentence: closing a descriptor
// that has operations in flight or queued.
//
// Mock sockets are not used: they would test other code than the code that runs.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "kernel/kernel.hpp"
#include "kernel/simulator/core.hpp"
#include "kernel/simulator/file.hpp"
#include "kernel/simulator/socket.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

class simulator final : public kernel {
public:
    /// The simulator's first descriptor: a real system call on one of its numbers fails with EBADF.
    static constexpr int first_descriptor = 1 << 28;

    explicit simulator(const simulator_options& options = {});
    simulator(const simulator&) = delete;
    simulator& operator=(const simulator&) = delete;
    ~simulator() override;

    // -- kernel: (b), any thread
    int socket(int family, int type, int protocol) override;
    int bind(int fd, const sockaddr* address, socklen_t size) override;
    int listen(int fd, int backlog) override;
    int local_name(int fd, sockaddr* address, socklen_t* size) override;
    int remote_name(int fd, sockaddr* address, socklen_t* size) override;
    int set_option(int fd, int level, int name, const void* value, socklen_t size) override;
    int get_option(int fd, int level, int name, void* value, socklen_t* size) override;
    int poll_now(int fd) override;
    int socket_pair(int family, int type, int protocol, int* ends) override;
    int pipe(int* ends) override;
    int duplicate(int fd) override;
    int truncate(int fd, std::uint64_t size) override;
    int file_status(int fd, unsigned* mode) override;
    int settle_open(int fd, int flags, unsigned* mode) override;
    std::int64_t position(int fd) override;
    void set_position(int fd, std::int64_t to) override;
    int list_directory(const char* path, void (*each)(void*, const char*, unsigned),
                       void* word) override;
    int read_link(const char* path, std::string* target) override;
    int make_directories(const char* path) override;
    int remove_tree(const char* path, std::uint64_t* count) override;
    int name_status(const char* path, name_facts* facts) override;
    int remove_name(const char* path) override;
    int set_mode(const char* path, unsigned mode) override;
    int find_listener(const sockaddr* address, socklen_t size) override;
    bool is_simulated() const noexcept override { return true; }
    int close(int fd) override;

    // -- kernel: (a), (c), (d)
    void attach() override;
    entry* next_entry() noexcept override;
    entered enter(time_point deadline, completion* out, std::size_t room) noexcept override;
    void submit() noexcept override;
    void wake() noexcept override;
    bool supports(opcode code) const noexcept override;
    bool multishot_accept() const noexcept override { return true; }
    bool multishot_receive() const noexcept override { return true; }
    int lend_buffers(char* memory, unsigned count, unsigned size,
                     unsigned stride) noexcept override;
    void return_buffer(std::uint16_t number) noexcept override;
    time_point now() noexcept override { return core_.now; }
    std::uint64_t random() noexcept override { return user_dice_.draw(); }
    bool run_elsewhere(void (*run)(void*), void* argument) noexcept override;
    counters count() const noexcept override { return counters_; }
    const char* name() const noexcept override { return "simulator"; }

    // There is no event descriptor. poll(2) waits on real time and cannot move virtual time, so a
    // host that waits for a descriptor of the simulator would wait forever.
    int event_fd() noexcept override;
    void watch_event(bool) noexcept override {}
    void signal_event() noexcept override {}
    void drain_event() noexcept override {}

    // -- for tests; on the attached thread
    int put_file(std::string_view path, std::string_view bytes) { return files_.put(path, bytes); }
    std::optional<std::string> get_file(std::string_view path) const { return files_.get(path); }
    void set_network(sim_latency one_way, sim_datagram_fate datagrams);
    void cut_off(const sockaddr* part, socklen_t size);
    void restore(const sockaddr* part, socklen_t size);
    void reset_connections();

    /// Returns: a hash of all events: equal for equal seeds and equal calls.
    std::uint64_t trace_hash() const noexcept { return core_.trace; }
    /// Returns: the number of operations begun, for `sim_fault::operation`: all entries except
    /// timeouts, cancels and removals.
    std::uint64_t operations() const noexcept { return operations_; }
    /// Returns: the number of calls of class `system`, for `sim_call_fault::call`. Not counted are
    /// close, settle_open and those on positions, which do not fail.
    std::uint64_t calls() const noexcept { return calls_; }
    std::size_t in_flight() const noexcept { return core_.operations.live(); }
    std::size_t descriptors_open() const noexcept { return descriptors_.size() - free_.size(); }
    std::size_t events_pending() const noexcept { return core_.events(); }
    std::size_t jobs_pending() const noexcept { return jobs_.live(); }
    /// Returns: how often the real kernel would have raised SIGPIPE.
    std::uint64_t sigpipes() const noexcept { return network_.sigpipes(); }

private:
    struct descriptor {
        sim_socket* socket = nullptr;
        sim_file* file = nullptr;
        std::uint32_t in_flight = 0;
        bool closing = false;

        bool open() const noexcept { return (socket != nullptr || file != nullptr) && !closing; }
    };
    struct job {
        std::uint32_t index = 0;
        void (*run)(void*) = nullptr;
        void* argument = nullptr;
    };

    // simulator.cpp: one turn
    bool wait(time_point deadline);
    void run_due(time_point until);
    void run_event(const sim_event& event);
    void run_job(job& due);
    void begin_queued();
    void run_operation(sim_operation& operation);
    void complete(sim_operation& operation, std::int32_t result, bool more);

    // begin.cpp: entries to operations
    bool is_simulated(const entry& what) noexcept;
    void begin_entry(const entry& what);
    bool apply_fault(sim_operation& operation);
    void begin(sim_operation& operation);
    bool bind_descriptor(sim_operation& operation);
    void begin_timeout(sim_operation& operation);
    void begin_on_descriptor(sim_operation& operation);

    // attempt.cpp: operations to results
    std::int32_t attempt(sim_operation& operation);
    std::int32_t attempt_accept(sim_operation& operation);
    std::int32_t attempt_connect(sim_operation& operation);
    std::int32_t attempt_open(sim_operation& operation);
    std::int32_t attempt_picking(sim_operation& operation);
    std::int32_t attempt_status(sim_operation& operation);
    std::int32_t attempt_name(const entry& what);
    std::int32_t attempt_socket(const entry& what);
    std::int32_t attempt_close(sim_operation& operation);
    std::int32_t cancel(sim_operation& operation);
    std::int32_t update_timeout(sim_operation& operation);

    // rights.cpp: descriptors in messages
    std::int32_t attempt_message(sim_operation& operation);
    int collect_rights(msghdr& message, std::vector<sim_opened>& opened);
    void deliver_rights(msghdr* message, std::size_t room, std::vector<sim_opened> opened);
    void drop_opened(std::vector<sim_opened> opened);

    // descriptors.cpp
    descriptor* find(int fd) noexcept;            // null unless open
    descriptor& descriptor_of(int fd) noexcept {  // `fd` was returned by open_descriptor
        return descriptors_[static_cast<std::size_t>(fd - first_descriptor)];
    }
    sim_socket* find_socket(int fd, int& error) noexcept;
    int open_descriptor(sim_socket* socket, sim_file* file);
    int open_socket(int family, int type, int protocol);
    template <class Call>
    int on_socket(int fd, Call call);
    int open_pair(sim_socket& one, sim_socket& other, int* ends);
    int mode_of(int fd, unsigned& mode) noexcept;
    bool descriptors_full() const noexcept;
    void check_idle(int fd);
    void free_descriptor(int fd);
    int next_fault() noexcept;  // counts this call; -errno if it is the one with the fault

    mutable std::mutex mutex_;  // part (b) comes from any thread; released while a job runs
    std::atomic<bool> woken_{false};
    std::thread::id thread_;

    sim_core core_;
    sim_dice user_dice_;  // separate, so that draws of the layers above do not change our choices
    sim_network network_{core_};
    sim_file_system files_{core_};
    sim_index by_user_data_;
    sim_slab<job> jobs_;
    std::vector<descriptor> descriptors_;
    std::vector<int> free_;  // a heap, the lowest number first: reused at once, as on Linux

    char* lent_ = nullptr;  // buffers that receives pick from
    unsigned lent_size_ = 0;
    unsigned lent_stride_ = 0;
    std::deque<std::uint16_t> lent_free_;  // those not in use

    std::vector<entry> queue_;
    std::size_t queued_ = 0;
    completion* out_ = nullptr;  // arguments of the present enter
    std::size_t room_ = 0;
    std::size_t filled_ = 0;

    std::uint64_t submitted_ = 0;
    std::uint64_t operations_ = 0;
    std::uint64_t calls_ = 0;
    counters counters_;
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
