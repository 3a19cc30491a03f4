// SPDX-License-Identifier: MIT
// One turn of the kernel on readiness, and what a host loop waits for. See core.hpp.
#include "kernel/readiness/core.hpp"

#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <climits>
#include <string>
#include <system_error>
#include <utility>

#include <rondo/detail/base/assert.hpp>

#include "base/poison.hpp"
#include "kernel/readiness/file_calls.hpp"
#include "kernel/readiness/readiness.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

constexpr std::uint64_t wake_word = ~std::uint64_t{0};  // of no descriptor
constexpr unsigned unpolled_max = 8;

int add_to(int epoll, int fd, std::uint32_t events) noexcept {
    epoll_event event{};
    event.events = events;
    event.data.u64 = wake_word;
    return or_errno(::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
}

timespec spec_of(duration time) noexcept {
    timespec spec{};
    spec.tv_sec = time.count() / std::nano::den;
    spec.tv_nsec = time.count() % std::nano::den;
    return spec;
}

/// epoll_wait(2) in milliseconds, rounded up, for kernels before Linux 5.11 and for filters that do
/// not know epoll_pwait2. The caller looks at the clock again.
int wait_coarsely(int epoll, epoll_event* events, int room, const duration* left) noexcept {
    if (left == nullptr) return ::epoll_wait(epoll, events, room, -1);
    const auto ms = std::chrono::ceil<std::chrono::milliseconds>(*left).count();
    return ::epoll_wait(epoll, events, room, static_cast<int>(std::min<long>(ms, INT_MAX)));
}

/// `left` is the longest time to wait; null waits without limit.
int wait_for_events(int epoll, epoll_event* events, int room, const duration* left) noexcept {
    static std::atomic<bool> is_missing{false};
    if (left == nullptr || *left <= duration::zero() ||
        is_missing.load(std::memory_order_relaxed))
        return wait_coarsely(epoll, events, room, left);
    const timespec spec = spec_of(*left);
    const int count = ::epoll_pwait2(epoll, events, room, &spec, nullptr);
    if (count >= 0 || (errno != ENOSYS && errno != EPERM)) return count;
    is_missing.store(true, std::memory_order_relaxed);
    return wait_coarsely(epoll, events, room, left);
}

}  // namespace

own_number::~own_number() {
    if (fd_ >= 0) ::close(fd_);
}

int own_number::take(int fd) noexcept {
    fd_ = above_standard(fd);
    return fd_ < 0 ? -errno : 0;
}

// -- life -----------------------------------------------------------------------------------------

readiness_kernel::readiness_kernel(unsigned entries)
    : entries_max_(std::max(entries, 1U)), numbers_(watched_numbers::of_process()) {
    throw_if_failed(epoll_.take(::epoll_create1(EPOLL_CLOEXEC)), "epoll_create1");
    throw_if_failed(wake_.open(), "eventfd");
    throw_if_failed(add_to(epoll_.get(), wake_.number(), EPOLLIN | EPOLLET), "epoll_ctl");
}

/// In a forked child the numbers and the threads are the parent's.
readiness_kernel::~readiness_kernel() {
    if (!process_.is_current()) {
        static_cast<void>(workers_.release());
        return;
    }
    workers_.reset();
    table_.each([this](watched& on) { forget(on); });
}

void readiness_kernel::check_process() const noexcept {
    RONDO_ASSERT(process_.is_current(), forked_sentence);
}

void readiness_kernel::attach() {
    if (!process_.is_current())
        throw std::system_error(EPERM, std::system_category(), forked_sentence);
    if (owner_ == this_thread_number()) return;
    if (const std::uint64_t left = in_flight_ + made_count_; left != 0 && owner_ != 0)
        throw std::system_error(
            EBUSY, std::system_category(),
            "a loop can move to another thread only while nothing is in flight; " +
                std::to_string(left) + (left == 1 ? " entry is" : " entries are") + " in flight");
    owner_ = this_thread_number();
}

time_point readiness_kernel::now() noexcept {
    return std::chrono::time_point_cast<duration>(std::chrono::steady_clock::now());
}

bool readiness_kernel::supports(opcode code) const noexcept {
    switch (code) {
        case opcode::nop:
        case opcode::readv:
        case opcode::writev:
        case opcode::poll_add:
        case opcode::poll_remove:
        case opcode::sendmsg:
        case opcode::recvmsg:
        case opcode::timeout:
        case opcode::timeout_remove:
        case opcode::accept:
        case opcode::async_cancel:
        case opcode::connect:
        case opcode::close:
        case opcode::read:
        case opcode::write:
        case opcode::send:
        case opcode::recv:
        case opcode::shutdown:
        case opcode::socket: return true;
        default: return is_file_call(code);
    }
}

// -- entries down ---------------------------------------------------------------------------------

entry* readiness_kernel::next_entry() noexcept {
    check_process();
    if (made_count_ >= entries_max_) submit();
    pending* const one = slab_.take();
    if (one == nullptr) return nullptr;
    made_.append(*one);
    ++made_count_;
    return &one->what;
}

void readiness_kernel::submit() noexcept {
    if (made_count_ != 0) interpret();
}

void readiness_kernel::interpret() noexcept {
    while (!made_.empty()) {
        pending& one = made_.pop();
        RONDO_ASSERT((one.what.flags & entry_skip_success) == 0 ||
                         one.what.user_data < first_address,
                     "an entry with entry_skip_success must carry a tag as user_data");
        if (one.what.user_data >= first_address) ++in_flight_;
        ++counters_.entries;
        begin(one);
    }
    made_count_ = 0;
}

// -- completions up -------------------------------------------------------------------------------

/// Events are asked for also if there are results already, in one of eight turns: operations that
/// always succeed at once must not starve those that wait.
entered readiness_kernel::enter(time_point deadline, completion* out, std::size_t room) noexcept {
    check_process();
    out_ = out;
    room_ = room;
    filled_ = 0;
    ++counters_.enters;
    const bool may_wait = deadline != time_point::min();
    while (!done_.empty() && has_room()) emit(done_.pop());
    interpret();
    take_results();
    expire();
    run_ready();
    if (filled_ == 0 || ++unpolled_ >= unpolled_max) {
        for (bool waits = may_wait && room != 0;;) {
            waits = waits && filled_ == 0 && !seen_wake_ && !has_work();
            wait(waits ? deadline : time_point::min());
            take_results();
            expire();
            run_ready();
            // An event may be of no use: room on a socket that nothing is to be sent on.
            if (!waits || filled_ != 0 || seen_wake_ || now() >= deadline) break;
        }
    }
    if (may_wait) seen_wake_ = false;
    counters_.completions += filled_;
    room_ = 0;
    return {.completions = filled_, .stuck = false};
}

/// Whether something can go on without an event.
bool readiness_kernel::has_work() const noexcept {
    return !done_.empty() || !ready_.empty() || (workers_ && workers_->any());
}

void readiness_kernel::take_results() noexcept {
    if (!workers_ || !workers_->any()) return;
    pending_fifo ended;
    workers_->take(ended);
    while (!ended.empty()) {
        pending& one = ended.pop();
        finish(one, one.result);
    }
}

void readiness_kernel::expire() noexcept {
    if (next_due_ == time_point::max()) return;
    const time_point present = now();
    if (next_due_ > present) return;
    next_due_ = time_point::max();
    pending_list all;
    all.take(timed_);
    while (!all.empty()) {
        pending& one = all.pop();
        if (one.due > present) {
            timed_.append(one);
            next_due_ = std::min(next_due_, one.due);
        } else if (one.what.code == opcode::timeout) {
            finish(one, -ETIME);
        } else {
            one.place = pending::place_t::none;
            settle(one, *one.on, attempt(one, *one.on));
        }
    }
}

void readiness_kernel::wait(time_point until) noexcept {
    until = std::min(until, next_due_);
    duration left = duration::zero();
    if (until != time_point::min() && until != time_point::max()) {
        const time_point present = now();
        if (until > present) left = until - present;  // else the difference may overflow
    }
    unpolled_ = 0;
    const int count =
        wait_for_events(epoll_.get(), events_.data(), static_cast<int>(events_.size()),
                        until == time_point::max() ? nullptr : &left);
    if (count < 0) {
        RONDO_ASSERT(errno == EINTR, "epoll_wait failed: its descriptor was closed");
        seen_wake_ = true;  // the handler of the signal may have left something to look at
        return;
    }
    order_.acquire();
    for (int i = 0; i < count; ++i) {
        const epoll_event& event = events_[static_cast<std::size_t>(i)];
        if (event.data.u64 == wake_word)
            seen_wake_ = true;
        else
            see(event);
    }
}

/// Runs each descriptor that has something to do once: what is left has its turn in the next enter.
void readiness_kernel::run_ready() noexcept {
    watched_list now;
    now.take(ready_);
    while (!now.empty()) {
        watched& on = now.pop();
        on.in_ready = false;
        if (has_room())
            run(on);
        else
            make_ready(on);
    }
}

void readiness_kernel::finish(pending& one, std::int32_t result) noexcept {
    if (one.found) index_.remove(one);
    if (result <= 0 && (one.flags & completion_buffer) != 0) {  // picked for a thread's read
        const std::uint16_t number = buffer_of(std::exchange(one.flags, 0));
        forbid(lent_ + std::size_t{number} * lent_stride_, lent_size_);
        return_buffer(number);
    }
    if ((one.what.flags & entry_skip_success) != 0 && result >= 0) return slab_.give(one);
    one.result = result;
    one.place = pending::place_t::done;
    if (has_room() && done_.empty())
        emit(one);
    else
        done_.append(one);
}

void readiness_kernel::emit(pending& one) noexcept {
    if (one.what.user_data >= first_address) --in_flight_;
    out_[filled_++] = {one.what.user_data, one.result, one.flags};
    slab_.give(one);
}

/// A completion that is not the last one. There must be room.
void readiness_kernel::emit_more(const pending& one, std::int32_t result,
                                 std::uint32_t flags) noexcept {
    out_[filled_++] = {one.what.user_data, result, flags | completion_more};
}

int readiness_kernel::lend_buffers(char* memory, unsigned count, unsigned size,
                                   unsigned stride) noexcept {
    if (lent_ != nullptr || count == 0 || count > 32768 || (count & (count - 1)) != 0)
        return -EINVAL;
    try {
        lent_free_.reserve(count);
    } catch (const std::bad_alloc&) {
        return -ENOMEM;
    }
    for (unsigned i = count; i-- > 0;) lent_free_.push_back(static_cast<std::uint16_t>(i));
    lent_ = memory;
    lent_size_ = size;
    lent_stride_ = stride;
    return 0;
}

// -- embedding ------------------------------------------------------------------------------------

/// Three things make it readable: an event that epoll_ has not told yet, which includes a wake and
/// results of threads; a time that is over; and the eventfd, which is written for what is left.
int readiness_kernel::event_fd() noexcept {
    check_process();
    if (embedded_) return host_.get();
    int result = 0;
    if (timer_.get() < 0)
        result = timer_.take(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
    if (result == 0 && event_.number() < 0) result = event_.open();
    if (result == 0 && host_.get() < 0) result = host_.take(::epoll_create1(EPOLL_CLOEXEC));
    for (const int fd : {epoll_.get(), timer_.get(), event_.number()}) {
        if (result < 0) return result;
        result = add_to(host_.get(), fd, EPOLLIN);
        if (result == -EEXIST) result = 0;  // a call that failed later has added it
    }
    if (result < 0) return result;
    embedded_ = true;
    return host_.get();
}

void readiness_kernel::watch_event(bool on) noexcept {
    check_process();
    if (!on || !embedded_) return;
    arm_timer();
    if (has_work() || made_count_ != 0) event_.write();
}

void readiness_kernel::arm_timer() noexcept {
    if (armed_ == next_due_) return;
    armed_ = next_due_;
    itimerspec when{};  // zero switches it off
    if (next_due_ != time_point::max())
        when.it_value =
            spec_of(std::max(next_due_.time_since_epoch(), duration(1)));
    ::timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &when, nullptr);
}

std::shared_ptr<kernel> make_readiness(unsigned entries) {
    reserve_standard_numbers();
    return std::make_shared<readiness_kernel>(entries);
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
