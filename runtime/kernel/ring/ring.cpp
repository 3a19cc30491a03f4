// SPDX-License-Identifier: MIT
// The io_uring kernel: writes entries to the submission queue, reads completions from the
// completion queue. One system call submits and waits. There is none if the shared queues show that
// the kernel has nothing to do.
//
// A loop sleeps in io_uring_enter with its next deadline as argument. To wake it, a thread writes
// to an eventfd that a multishot poll watches. The poll is edge-triggered: it completes for each
// write, so the eventfd need not be read.
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include <rondo/detail/base/assert.hpp>

#include "base/identity.hpp"
#include "kernel/event.hpp"
#include "kernel/order.hpp"
#include "kernel/random_words.hpp"
#include "kernel/ring/mapped_ring.hpp"
#include "kernel/ring/ring.hpp"
#include "kernel/ring/abi.hpp"
#include "kernel/ring/buffers.hpp"
#include "kernel/ring/files.hpp"
#include "kernel/sigpipe.hpp"
#include "kernel/system.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {
namespace {

constexpr std::uint64_t wake_tag = 1;  // user_data of the poll that `wake` completes
constexpr auto hidden_opcode = static_cast<opcode>(255);  // no kernel has it: -EINVAL

[[noreturn]] void fail_with(const char* sentence, int error) noexcept {
    const char* name = ::strerrorname_np(error);
    std::array<char, 256> text;
    std::snprintf(text.data(), text.size(), "%s: %s", sentence, name != nullptr ? name : "?");
    fail(text.data());
}

[[noreturn]] void raise(int error, const std::string& sentence) {
    throw std::system_error(error, std::system_category(), sentence);
}

/// Whether the next io_uring_enter may succeed after this result: a signal, the deadline, no memory
/// at present, or too many unread completions.
constexpr bool is_temporary(int result) noexcept {
    return result >= 0 || result == -EINTR || result == -ETIME || result == -EAGAIN ||
           result == -EBUSY || result == -ENOMEM;
}

constexpr const char* why_not_entered(int result) noexcept {
    return result == -EEXIST ? "io_uring_enter failed: a loop runs on the thread that attached it"
                             : "io_uring_enter failed";
}

class ring final : public plain_calls<kernel> {
public:
    explicit ring(const ring_options& options) : options_(options) {
        if (const int result = wake_.open(); result < 0) raise(-result, "eventfd");
        use(std::make_unique<mapped_ring>(options));
    }
    ~ring() override {
        if (!process_.is_current()) {
            mapped_->close_in_child();
        } else if (registered_ >= 0 && owner_ == this_thread_number()) {
            mapped_->unregister_descriptor(registered_);  // otherwise the end of its thread does it
        }
    }

    void attach() override;
    entry* next_entry() noexcept override;
    entered enter(time_point deadline, completion* out, std::size_t room) noexcept override;
    void submit() noexcept override {
        if (tail_ != full_at_ - queues_.slot_count) make_room();
    }
    void wake() noexcept override;
    bool supports(opcode code) const noexcept override {
        return mapped_->facts().opcodes[static_cast<std::size_t>(code)];
    }
    bool multishot_accept() const noexcept override { return mapped_->facts().multishot_accept; }
    bool multishot_receive() const noexcept override { return mapped_->facts().multishot_receive; }
    int lend_buffers(char* memory, unsigned count, unsigned size,
                     unsigned stride) noexcept override {
        return buffers_.lend(*mapped_, memory, count, size, stride);
    }
    void return_buffer(std::uint16_t number) noexcept override { buffers_.give_back(number); }
    int register_file(int fd) noexcept override {
        const bool offered = (mapped_->facts().features & feature_no_iowait) != 0;
        return offered && owner_ == this_thread_number() ? files_.add(*mapped_, fd) : -1;
    }
    void unregister_file(int place) noexcept override {
        if (process_.is_current()) files_.remove(*mapped_, place);
    }
    void unregister_all_files() noexcept override {
        if (process_.is_current()) files_.remove_all(*mapped_);
    }

    int event_fd() noexcept override;
    void watch_event(bool on) noexcept override;
    void signal_event() noexcept override { event_.write(); }
    void drain_event() noexcept override { event_.read(); }

    time_point now() noexcept override {
        return std::chrono::time_point_cast<duration>(std::chrono::steady_clock::now());
    }
    std::uint64_t random() noexcept override { return random_.next(); }
    bool run_elsewhere(void (*)(void*), void*) noexcept override { return false; }
    counters count() const noexcept override { return counters_; }
    const char* name() const noexcept override { return "ring"; }

private:
    void check_process() const noexcept { RONDO_ASSERT(process_.is_current(), forked_sentence); }
    std::uint32_t flags_of_queue() const noexcept {
        return shared_word(*queues_.submit_flags).load(std::memory_order_relaxed);
    }
    /// Position up to which the kernel has taken entries. It changes only inside an enter, so it is
    /// read only after one.
    std::uint32_t taken() const noexcept {
        return shared_word(*queues_.submit_head).load(std::memory_order_acquire);
    }
    bool no_completions() const noexcept {
        return shared_word(*queues_.completion_tail).load(std::memory_order_acquire) ==
               *queues_.completion_head;
    }

    void use(std::unique_ptr<mapped_ring> fresh) noexcept;
    void bind_to_this_thread();
    void move_to_this_thread();

    std::uint32_t publish() noexcept;
    void hide(entry& made) const noexcept;
    void suppress_sigpipe(entry& made) noexcept;
    int call(std::uint32_t submit, unsigned flags, time_point deadline) noexcept;
    void submit_and_wait(time_point deadline) noexcept;
    void get_events(time_point deadline) noexcept;
    bool make_room() noexcept;
    std::size_t reap(completion* out, std::size_t room) noexcept;
    std::size_t reap_overflow(completion* out, std::size_t room) noexcept;
    void see_wake(const completion& seen) noexcept;
    void arm_wake() noexcept;

    ring_queues queues_;
    // Positions in the submission queue. Entries in [published_, tail_) are not shown to the kernel
    // yet. The queue is full when tail_ reaches full_at_.
    std::uint32_t tail_ = 0;
    std::uint32_t published_ = 0;
    std::uint32_t full_at_ = 0;
    std::uint64_t in_flight_ = 0;  // published and not ended, without those with a tag

    bool seen_wake_ = false;    // set until an enter that may wait has returned
    bool unarmed_ = true;       // the poll on wake_ must be submitted (again)
    bool limited_ = false;      // the test hook hides opcodes
    bool no_signal_ = false;    // writes carry RWF_NOSIGNAL
    bool may_sigpipe_ = false;  // an entry in flight may raise SIGPIPE
    int enter_fd_ = -1;         // the ring's descriptor, or registered_
    unsigned enter_flags_ = 0;  // of each enter
    unsigned wait_flags_ = 0;   // of each enter that waits
    counters counters_;
    birth_process process_;

    lent_buffers buffers_;  // outlives the ring that fills them
    std::unique_ptr<mapped_ring> mapped_;
    fixed_files files_;
    ring_options options_;
    std::uint64_t owner_ = 0;  // this_thread_number() of the attached thread
    int registered_ = -1;      // the ring's number in the owner's table
    event_descriptor wake_;
    event_descriptor event_;
    bool event_registered_ = false;
    bool watching_ = true;
    random_words random_;
    turn_order order_;
};

// -- threads --------------------------------------------------------------------------------------

void ring::use(std::unique_ptr<mapped_ring> fresh) noexcept {
    mapped_ = std::move(fresh);
    queues_ = mapped_->queues();
    tail_ = published_ = *queues_.submit_tail;
    full_at_ = taken() + queues_.slot_count;
    unarmed_ = true;
    limited_ = mapped_->limited();
    no_signal_ = !limited_ && has_write_no_signal();
    may_sigpipe_ = false;
    registered_ = -1;
    enter_fd_ = mapped_->descriptor();
    enter_flags_ = 0;
    wait_flags_ = 0;
    if ((mapped_->facts().features & feature_no_iowait) != 0) wait_flags_ = enter_no_iowait;
}

void ring::attach() {
    if (!process_.is_current()) raise(EPERM, forked_sentence);
    if (owner_ != this_thread_number()) bind_to_this_thread();
    if (files_.any_stale()) [[unlikely]]
        files_.clear_stale(*mapped_);
}

void ring::bind_to_this_thread() {
    if (owner_ != 0) move_to_this_thread();
    if (const int result = mapped_->enable(); result < 0)
        raise(-result, "binding an io_uring to its thread");
    owner_ = this_thread_number();
    registered_ = mapped_->register_descriptor();
    if (registered_ >= 0) {  // otherwise the thread's table is full, and enters are slightly slower
        enter_fd_ = registered_;
        enter_flags_ = enter_registered_ring;
    }
    arm_wake();
}

/// Replaces the io_uring by a new one, since an io_uring cannot change its thread. The new one is
/// made first, so that the old one stays if making it fails.
void ring::move_to_this_thread() {
    if (const std::uint64_t left = in_flight_ + (tail_ - published_); left != 0)
        raise(EBUSY, "a loop can move to another thread only while nothing is in flight; " +
                         std::to_string(left) + (left == 1 ? " entry is" : " entries are") +
                         " in flight");
    auto fresh = std::make_unique<mapped_ring>(options_);
    if (event_registered_) {
        const int result = fresh->register_eventfd(event_.number());
        if (result < 0) raise(-result, "registering an eventfd with io_uring");
        fresh->watch_eventfd(watching_);
    }
    if (const int result = files_.copy_to(*fresh); result < 0)
        raise(-result, "registering descriptors with io_uring");
    if (const int result = buffers_.copy_to(*fresh); result < 0)
        raise(-result, "lending buffers to io_uring");
    use(std::move(fresh));
}

// -- entries down ---------------------------------------------------------------------------------

entry* ring::next_entry() noexcept {
    check_process();
    if (tail_ == full_at_) [[unlikely]] {
        if (!make_room()) return nullptr;
    }
    return &queues_.slots[tail_++ & queues_.slot_mask];
}

/// Submits the queue, without waiting and without reading completions. Returns: whether a slot is
/// free.
bool ring::make_room() noexcept {
    const int result = call(publish(), 0, time_point::min());
    if (!is_temporary(result)) fail_with("io_uring_enter failed while submitting", -result);
    return tail_ != full_at_;
}

/// Shows the new entries to the kernel. Returns: how many entries the kernel has not taken.
std::uint32_t ring::publish() noexcept {
    for (; published_ != tail_; ++published_) {
        entry& made = queues_.slots[published_ & queues_.slot_mask];
        RONDO_ASSERT((made.flags & entry_skip_success) == 0 || made.user_data < first_address,
                     "an entry with entry_skip_success must carry a tag as user_data");
        if (limited_) [[unlikely]]
            hide(made);
        if (is_write(made.code)) [[unlikely]]
            suppress_sigpipe(made);
        in_flight_ += made.user_data >= first_address ? 1 : 0;
        counters_.entries += made.user_data >= first_tag ? 1 : 0;
    }
    order_.release();
    // Release: the slots are written before the kernel, inside enter, sees the tail.
    shared_word(*queues_.submit_tail).store(tail_, std::memory_order_release);
    return tail_ - (full_at_ - queues_.slot_count);
}

/// Makes an entry that the test hook hides end with -EINVAL, as on a kernel without the feature.
void ring::hide(entry& made) const noexcept {
    const bool hidden_accept =
        made.code == opcode::accept && (made.ioprio & accept_multishot) != 0 && !multishot_accept();
    const bool hidden_receive = (made.flags & entry_pick_buffer) != 0 && !multishot_receive();
    if (hidden_accept || hidden_receive || !supports(made.code)) made.code = hidden_opcode;
}

void ring::suppress_sigpipe(entry& made) noexcept {
    if (no_signal_) {
        made.op_flags |= write_no_signal;
    } else if (!may_sigpipe_) {
        const bool fixed = (made.flags & entry_fixed_file) != 0;
        may_sigpipe_ = may_raise_sigpipe(fixed ? files_.number(made.fd) : made.fd);
    }
}

/// io_uring_enter: submits `submit` entries and, if `deadline` is not over, waits for a completion.
int ring::call(std::uint32_t submit, unsigned flags, time_point deadline) noexcept {
    timespec left{};
    bool timed = false;
    bool wait = deadline == time_point::max();
    if (!wait && deadline != time_point::min()) {
        const time_point started = now();
        if (deadline > started) {  // otherwise it has passed
            wait = timed = true;
            // The kernel counts from a moment after `started`, so it is never early. The limit of
            // 146 years keeps its sum from overflowing.
            const auto ticks = std::min(deadline - started, duration::max() / 2).count();
            left.tv_sec = ticks / std::nano::den;
            left.tv_nsec = ticks % std::nano::den;
        }
    }
    ++counters_.enters;
    std::optional<sigpipe_blocked> blocked;
    if (may_sigpipe_) [[unlikely]] {
        may_sigpipe_ = in_flight_ != 0;
        if (may_sigpipe_) blocked.emplace();
    }
    const int result =
        enter_ring(enter_fd_, submit, wait ? 1 : 0, flags | enter_flags_ | (wait ? wait_flags_ : 0),
                   timed ? &left : nullptr);
    full_at_ = taken() + queues_.slot_count;
    return result;
}

void ring::submit_and_wait(time_point deadline) noexcept {
    for (;;) {
        const std::uint32_t queued = tail_ - (full_at_ - queues_.slot_count);
        const int result = call(queued, enter_getevents, deadline);
        if (result >= 0 && static_cast<std::uint32_t>(result) == queued) return;
        if (result == -EINTR || result == -ETIME) return;
        // Entries that were not taken stay queued. The next enter submits them again, after the
        // caller has read the completions.
        if (result == 0 || (result < 0 && is_temporary(result))) return get_events(deadline);
        if (result < 0) fail_with(why_not_entered(result), -result);
        // The kernel stopped after an entry that it refused, as it does without SUBMIT_ALL: submit
        // the rest.
    }
}

/// Lets the kernel run pending work and move overflowed completions into the queue. It waits for at
/// most a millisecond.
void ring::get_events(time_point deadline) noexcept {
    if (deadline != time_point::min())
        deadline = std::min(deadline, now() + std::chrono::milliseconds(1));
    const int result = call(0, enter_getevents, deadline);
    if (!is_temporary(result)) fail_with(why_not_entered(result), -result);
}

// -- completions up -------------------------------------------------------------------------------

entered ring::enter(time_point deadline, completion* out, std::size_t room) noexcept {
    check_process();
    const bool may_wait = deadline != time_point::min();
    const bool wait = may_wait && !seen_wake_ && !unarmed_ && no_completions();
    if (publish() != 0 || wait || (flags_of_queue() & (queue_taskrun | queue_overflow)) != 0)
        submit_and_wait(wait ? deadline : time_point::min());
    std::size_t filled = reap(out, room);
    if ((flags_of_queue() & queue_overflow) != 0) [[unlikely]]
        filled += reap_overflow(out + filled, room - filled);
    if (unarmed_) [[unlikely]]
        arm_wake();
    if (may_wait) seen_wake_ = false;
    counters_.completions += filled;
    return {.completions = filled, .stuck = false};
}

std::size_t ring::reap(completion* out, std::size_t room) noexcept {
    const std::uint32_t tail =
        shared_word(*queues_.completion_tail).load(std::memory_order_acquire);
    std::uint32_t head = *queues_.completion_head;
    if (head == tail) return 0;
    std::size_t filled = 0;
    std::uint64_t ended = 0;
    for (; head != tail && filled < room; ++head) {
        const completion& from = queues_.completions[head & queues_.completion_mask];
        if (from.user_data == wake_tag) [[unlikely]] {
            see_wake(from);
            continue;
        }
        out[filled++] = from;
        if ((from.flags & completion_buffer) != 0) buffers_.take(buffer_of(from.flags));
        ended += from.user_data >= first_address && (from.flags & completion_more) == 0 ? 1 : 0;
    }
    shared_word(*queues_.completion_head).store(head, std::memory_order_release);
    in_flight_ -= ended;
    order_.acquire();
    return filled;
}

/// Reads completions that did not fit into the queue. They wait in kernel memory, and an enter
/// moves them into the queue, in order.
std::size_t ring::reap_overflow(completion* out, std::size_t room) noexcept {
    ++counters_.overflows;
    std::size_t filled = 0;
    while (filled < room && (flags_of_queue() & queue_overflow) != 0) {
        get_events(time_point::min());
        filled += reap(out + filled, room - filled);
    }
    return filled;
}

// -- wake -----------------------------------------------------------------------------------------

/// Writes the host's eventfd too, and last. The kernel would signal it because of the first write,
/// but milliseconds late and, since about Linux 6.11, only once per registration.
void ring::wake() noexcept {
    order_.release();
    wake_.write();
    if (event_.number() >= 0) event_.write();
}

void ring::see_wake(const completion& seen) noexcept {
    seen_wake_ = true;
    if ((seen.flags & completion_more) != 0) return;
    if (seen.result == -EINVAL || seen.result == -EBADF)
        fail_with("the kernel refused the poll that wakes the loop", -seen.result);
    unarmed_ = true;
}

/// Submits the poll on wake_. The eventfd is read first, since otherwise the new poll would
/// complete at once; if it was written, that counts as a wake. This is done before `enter` returns,
/// not by the next one, because event_fd() must show wakes in between.
void ring::arm_wake() noexcept {
    if (wake_.read()) seen_wake_ = true;
    entry* slot = next_entry();
    if (slot == nullptr) return;  // enter does not wait while unarmed, and retries
    prepare_poll(*slot, wake_.number(), wake_tag);
    unarmed_ = false;
    make_room();
}

// -- embedding ------------------------------------------------------------------------------------

int ring::event_fd() noexcept {
    check_process();
    if (event_registered_) return event_.number();
    if (event_.number() < 0) {
        if (const int result = event_.open(); result < 0) return result;
    }
    if (const int result = mapped_->register_eventfd(event_.number()); result < 0) return result;
    event_registered_ = true;
    mapped_->watch_eventfd(watching_);
    return event_.number();
}

/// Registers the eventfd again each time, since it may be signalled only once per registration (see
/// `wake`). An entry that polls an eventfd of the program is also signalled late by a ring that
/// defers, but not only once.
void ring::watch_event(bool on) noexcept {
    check_process();
    watching_ = on;
    mapped_->watch_eventfd(on);
    const bool defers = (mapped_->facts().setup_flags & setup_defer_taskrun) != 0;
    if (!on || !event_registered_ || !defers) return;
    mapped_->unregister_eventfd();
    // If there is no memory, make it readable, so that the host calls again and this is retried.
    if (mapped_->register_eventfd(event_.number()) < 0) event_.write();
}

}  // namespace

std::shared_ptr<kernel> make_ring(const ring_options& options) {
    reserve_standard_numbers();
    check_rings();
    return std::make_shared<ring>(options);
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
