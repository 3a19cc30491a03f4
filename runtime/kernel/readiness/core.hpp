// SPDX-License-Identifier: MIT
// The kernel on readiness. It interprets entries in the order in which they were made:
//   - what cannot block is done at once (begin.cpp);
//   - what waits for readiness is tried, and waits in a list of its descriptor if it is too early.
//     An event of epoll sets a latch of the descriptor, and the list is tried again (watch.cpp,
//     attempt.cpp, transfer.cpp);
//   - what may wait for a disk runs on a thread (workers.cpp, file_calls.cpp).
// One turn, `enter`, is in core.cpp.
//
// A system call either ran or did not, so a cancel is exact: what waits ends with -ECANCELED, or
// with the bytes that MSG_WAITALL has moved; what runs on a thread ends with its true result, and
// the cancel fails with -EALREADY.
//
// A descriptor is registered with epoll once, edge-triggered, when the first operation has to wait:
// for reading, and for writing too from the first write that waits on. So a connection costs one
// epoll_ctl, two if it also waited for room. A latch is set by an event. It is cleared by EAGAIN,
// and by a short read of TCP: epoll(7).
//
// O_NONBLOCK belongs to the open file, which other processes may share. So it is set on two kinds
// only: listening sockets, as there is no other way, and for the moment of a connect(2).
#pragma once

#include <sys/epoll.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <vector>

#include "base/identity.hpp"
#include "kernel/event.hpp"
#include "kernel/kernel.hpp"
#include "kernel/order.hpp"
#include "kernel/random_words.hpp"
#include "kernel/readiness/pending.hpp"
#include "kernel/readiness/watched.hpp"
#include "kernel/readiness/workers.hpp"
#include "kernel/system.hpp"
#include "kernel/watched_numbers.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

/// A number that is closed with its owner.
class own_number {
public:
    own_number() noexcept = default;
    own_number(const own_number&) = delete;
    own_number& operator=(const own_number&) = delete;
    ~own_number();
    /// Takes the result of a system call. Returns: 0 or -errno.
    int take(int fd) noexcept;
    int get() const noexcept { return fd_; }

private:
    int fd_ = -1;
};

class readiness_kernel final : public plain_calls<kernel> {
public:
    explicit readiness_kernel(unsigned entries);
    ~readiness_kernel() override;

    void attach() override;
    entry* next_entry() noexcept override;
    entered enter(time_point deadline, completion* out, std::size_t room) noexcept override;
    void submit() noexcept override;
    void wake() noexcept override {
        order_.release();
        wake_.write();
    }
    bool supports(opcode code) const noexcept override;
    bool multishot_accept() const noexcept override { return true; }
    bool multishot_receive() const noexcept override { return true; }
    int lend_buffers(char* memory, unsigned count, unsigned size,
                     unsigned stride) noexcept override;
    void return_buffer(std::uint16_t number) noexcept override { lent_free_.push_back(number); }

    int event_fd() noexcept override;
    void watch_event(bool on) noexcept override;
    void signal_event() noexcept override { event_.write(); }
    void drain_event() noexcept override { event_.read(); }

    time_point now() noexcept override;
    std::uint64_t random() noexcept override { return random_.next(); }
    bool run_elsewhere(void (*)(void*), void*) noexcept override { return false; }
    counters count() const noexcept override { return counters_; }
    const char* name() const noexcept override { return "readiness"; }

private:
    // Results of attempts that are no results of the operation.
    static constexpr std::int32_t not_ready = std::numeric_limits<std::int32_t>::min();
    static constexpr std::int32_t goes_away = not_ready + 1;  // to a thread
    static constexpr std::int32_t comes_later = not_ready + 2;  // at pending::due

    // core.cpp
    void check_process() const noexcept;
    void interpret() noexcept;
    void take_results() noexcept;
    void expire() noexcept;
    void wait(time_point until) noexcept;
    void run_ready() noexcept;
    bool has_work() const noexcept;
    bool has_room() const noexcept { return filled_ < room_; }
    void finish(pending& one, std::int32_t result) noexcept;
    void emit(pending& one) noexcept;
    void emit_more(const pending& one, std::int32_t result, std::uint32_t flags) noexcept;
    void arm_timer() noexcept;

    // begin.cpp
    void begin(pending& one) noexcept;
    void begin_on_descriptor(pending& one) noexcept;
    static bool may_wait_untried(const pending& one, const watched& on) noexcept;
    void begin_poll(pending& one) noexcept;
    void begin_timeout(pending& one) noexcept;
    void send_away(pending& one) noexcept;
    void note_due(pending& one, time_point due) noexcept;
    std::int32_t change_timeout(const entry& what) noexcept;
    std::int32_t last_try(pending& one) noexcept;
    std::int32_t cancel(const entry& what) noexcept;

    // attempt.cpp
    std::int32_t attempt(pending& one, watched& on) noexcept;
    std::int32_t attempt_on_socket(pending& one, watched& on) noexcept;
    std::int32_t too_early(const pending& one, const watched& on) noexcept;
    std::int32_t attempt_accept(const pending& one, watched& on) noexcept;
    std::int32_t attempt_connect(pending& one, watched& on) noexcept;
    std::int32_t attempt_picking(pending& one, watched& on) noexcept;

    // transfer.cpp
    std::int32_t attempt_transfer(pending& one, watched& on) noexcept;
    std::int32_t attempt_as_message(pending& one, watched& on) noexcept;
    std::int32_t attempt_no_wait(pending& one, watched& on) noexcept;
    std::int32_t attempt_cached(pending& one, watched& on) noexcept;
    void classify(watched& on) noexcept;
    void without_no_wait(watched& on) noexcept;

    // watch.cpp
    watched* find(int fd, std::int32_t& error) noexcept;
    void forget(watched& on) noexcept;
    int watch(watched& on, std::uint32_t events) noexcept;
    int watch_for_polls(watched& on, std::uint32_t events) noexcept;
    void settle(pending& one, watched& on, std::int32_t result) noexcept;
    void wait_for(pending& one, watched& on) noexcept;
    void never_waits(pending& one, watched& on) noexcept;
    void leave(pending& one) noexcept;
    void see(const epoll_event& event) noexcept;
    void make_ready(watched& on) noexcept;
    void run(watched& on) noexcept;
    void run_list(watched& on, bool writes, std::int64_t& budget) noexcept;
    void run_pollers(watched& on) noexcept;
    void after_polls(watched& on) noexcept;

    const unsigned entries_max_;
    birth_process process_;
    watched_numbers& numbers_;
    std::uint64_t owner_ = 0;      // this_thread_number() of the attached thread
    std::uint64_t in_flight_ = 0;  // without those with a tag
    own_number epoll_;
    event_descriptor wake_;        // in epoll_, edge-triggered: it need not be read
    turn_order order_;
    bool seen_wake_ = false;       // set until an enter that may wait has returned
    unsigned unpolled_ = 0;        // enters since epoll was last asked

    pending_slab slab_;
    pending_index index_;
    pending_fifo made_;            // not yet interpreted
    unsigned made_count_ = 0;
    pending_fifo done_;            // their results did not fit, or came in `submit`
    pending_list timed_;
    time_point next_due_ = time_point::max();  // of timed_, or earlier
    watched_table table_;
    watched_list ready_;

    completion* out_ = nullptr;    // arguments of the present enter
    std::size_t room_ = 0;
    std::size_t filled_ = 0;
    std::array<epoll_event, 128> events_;
    counters counters_;

    char* lent_ = nullptr;         // buffers that receives pick from
    unsigned lent_size_ = 0;
    unsigned lent_stride_ = 0;
    std::vector<std::uint16_t> lent_free_;

    own_number host_;              // an epoll set of the three that a host loop waits for
    own_number timer_;
    event_descriptor event_;
    time_point armed_ = time_point::max();  // timer_
    bool embedded_ = false;        // event_fd has succeeded
    random_words random_;
    std::unique_ptr<workers> workers_;  // made when first needed; ends first
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
