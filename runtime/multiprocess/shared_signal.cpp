// SPDX-License-Identifier: MIT
// shared_signal: waits in futexes, and the watcher thread that waits for a loop's tasks.
//
// The watcher's list of waiters is its only state. It goes through the list under its mutex, posts
// the waiters whose word has changed to their loop, and waits for the words of the others. It also
// waits for a word of its own, the bell, which `add` bumps for each new waiter.
//
// A waiter that is removed does not bump the bell: its word is watched once more, without effect.
// That word's memory may be unmapped by then (the kernel says EFAULT), or hold another word (an
// early wake-up). Both are harmless.
#include <rondo/detail/multiprocess/shared_signal.hpp>

#include <linux/futex.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstddef>
#include <memory>
#include <mutex>

#include <rondo/sleep.hpp>

#include "thread/listed_thread.hpp"
#include "thread/pool_threads.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

constexpr duration polling_interval =
    std::chrono::milliseconds(10);  // for words that are not watched

/// The words of one futex_waitv call.
class watched_words {
public:
    /// Adds a word, unless it is there already. False if there is no room.
    bool add(const std::atomic<std::uint32_t>& word, std::uint32_t seen) noexcept {
        const auto address = reinterpret_cast<std::uint64_t>(&word);
        const auto end = words_.begin() + static_cast<std::ptrdiff_t>(count_);
        if (std::any_of(words_.begin(), end,
                        [&](const auto& each) { return each.uaddr == address; }))
            return true;
        if (count_ == words_.size()) return false;
        words_[count_] = {};
        words_[count_].uaddr = address;
        words_[count_].val = seen;
        words_[count_].flags = FUTEX_32;
        ++count_;
        return true;
    }
    /// Blocks until one of the words changes, at most until `limit`.
    void wait(time_point limit) noexcept {
        timespec until = as_timespec(limit.time_since_epoch());
        const bool for_ever = limit == time_point::max();
        ::syscall(SYS_futex_waitv, words_.data(), count_, 0, for_ever ? nullptr : &until,
                  CLOCK_MONOTONIC);
    }

private:
    std::array<futex_waitv, FUTEX_WAITV_MAX> words_;
    std::size_t count_ = 0;
};

/// True if the kernel has futex_waitv (Linux 5.16) and allows it.
bool has_waitv() noexcept {
    static const bool has =
        ::syscall(SYS_futex_waitv, nullptr, 0, 0, nullptr, 0) < 0 && errno == EINVAL;
    return has;
}

}  // namespace

timespec as_timespec(duration span) noexcept {
    const auto ns = std::max(span, duration::zero()).count();
    return {static_cast<time_t>(ns / 1'000'000'000), static_cast<long>(ns % 1'000'000'000)};
}

// -- the signal -----------------------------------------------------------------------------------

void shared_signal::bump() noexcept {
    changes_.fetch_add(1);
    if (waiting_.load() != 0)
        ::syscall(SYS_futex, &changes_, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

bool shared_signal::wait(std::uint32_t seen, time_point deadline) noexcept {
    const timespec until = as_timespec(deadline.time_since_epoch());
    const bool for_ever = deadline == time_point::max();
    waiting_.fetch_add(1);
    // FUTEX_WAIT_BITSET takes an absolute time of the monotonic clock; FUTEX_WAIT takes a duration.
    const long done = ::syscall(SYS_futex, &changes_, FUTEX_WAIT_BITSET, seen,
                                for_ever ? nullptr : &until, nullptr, FUTEX_BITSET_MATCH_ANY);
    const bool late = done != 0 && errno == ETIMEDOUT;
    waiting_.fetch_sub(1);
    return !late;
}

// -- the watcher ----------------------------------------------------------------------------------

/// The watcher thread of a loop; it starts with the first waiter.
class shared_watcher {
public:
    static shared_watcher& of(loop& loop);

    /// False if the thread cannot be started, or the loop is ending.
    bool add(shared_waiter& waiter) noexcept;
    /// False if the waiter has been posted to its loop already.
    bool remove(shared_waiter& waiter) noexcept;
    void join() noexcept;

private:
    void work() noexcept;
    /// Posts each waiter whose word has changed to its loop, and adds the words of the others to
    /// `words`. The mutex must be held. False if there was not room for all words.
    bool check_waiters(watched_words& words) noexcept;

    std::mutex mutex_;
    wait_list waiters_;
    shared_signal bell_;
    pthread_t thread_{};
    bool started_ = false;
    bool ending_ = false;
};

shared_watcher& shared_watcher::of(loop& loop) {
    static constexpr char key = 0;
    std::shared_ptr<void>& slot = loop.extension(&key);
    if (slot == nullptr) {
        auto fresh = std::make_shared<shared_watcher>();
        loop.at_shutdown([self = fresh.get()] { self->join(); });
        loop.extension(&key) = fresh;
        return *fresh;
    }
    return *static_cast<shared_watcher*>(slot.get());
}

bool shared_watcher::add(shared_waiter& waiter) noexcept {
    {
        const std::lock_guard lock(mutex_);
        if (ending_ || !has_waitv()) return false;
        const auto main = [](void* self) -> void* {
            static_cast<shared_watcher*>(self)->work();
            return nullptr;
        };
        if (!started_) started_ = start_pool_thread(thread_, main, this);
        if (!started_) return false;
        waiters_.append(waiter);
        waiter.signal_->waiting_.fetch_add(1);
    }
    bell_.bump();
    return true;
}

bool shared_watcher::remove(shared_waiter& waiter) noexcept {
    const std::lock_guard lock(mutex_);
    if (!waiter.linked()) return false;
    waiters_.remove(waiter);
    waiter.signal_->waiting_.fetch_sub(1);
    return true;
}

bool shared_watcher::check_waiters(watched_words& words) noexcept {
    bool room = words.add(bell_.changes_, bell_.now());
    wait_list unchanged;
    while (!waiters_.empty()) {
        auto& waiter = static_cast<shared_waiter&>(waiters_.pop());
        if (waiter.signal_->now() == waiter.seen_) {
            unchanged.append(waiter);
            room = words.add(waiter.signal_->changes_, waiter.seen_) && room;
        } else {
            waiter.signal_->waiting_.fetch_sub(1);
            waiter.post();
        }
    }
    waiters_.take(unchanged);
    return room;
}

void shared_watcher::work() noexcept {
    const listed_here listed(thread_kind::shared_memory, "rondo-shared");
    bell_.waiting_ = 1;
    for (;;) {
        watched_words words;
        bool room = true;
        {
            const std::lock_guard lock(mutex_);
            if (ending_) return;
            room = check_waiters(words);
        }
        time_point limit = time_point::max();
        if (!room) limit = std::chrono::steady_clock::now() + polling_interval;
        words.wait(limit);
    }
}

void shared_watcher::join() noexcept {
    {
        const std::lock_guard lock(mutex_);
        ending_ = true;
        if (!started_) return;
    }
    bell_.bump();
    ::pthread_join(thread_, nullptr);
}

// -- the task's side ------------------------------------------------------------------------------

constinit const wait_kind shared_waiter::kind_of{"a change in shared memory", leave, nullptr};

shared_waiter::shared_waiter(shared_signal* signal, std::uint32_t seen) noexcept
    : posted_wait(kind_of), signal_(signal), seen_(seen) {}

// The waiter is still watched only if its frame is destroyed while it waits.
shared_waiter::~shared_waiter() {
    if (watcher_ != nullptr) watcher_->remove(*this);
}

bool shared_waiter::await_ready() noexcept {
    if (is_cancelled()) return cancel_at_start();
    return (signal_ == nullptr || signal_->now() != seen_) && may_go_on();
}

void shared_waiter::await_suspend(std::coroutine_handle<> frame, location at) {
    if (is_refused()) {
        park(*this, frame, at);
        return requeue(*this);
    }
    if (signal_ == nullptr || signal_->now() != seen_) {  // ready, but other tasks run first
        park(*this, frame, at);
        return resume_here();
    }
    shared_watcher& watcher = shared_watcher::of(running_loop());
    set_home();
    park(*this, frame, at);
    // The simulator needs no watcher thread: it calls this function at a moment of its choice, and
    // the task then checks again.
    const auto wake_later = [](void* self) { static_cast<shared_waiter*>(self)->post(); };
    if (run_elsewhere(*here.current->home, wake_later, this)) return;
    watcher_ = &watcher;
    if (watcher.add(*this)) return;
    state |= unwatched;
    resume_here();
}

// If the waiter's post is in flight already, the task waits for it: the post lies in its frame.
void shared_waiter::leave(leaf_wait& wait) noexcept {
    auto& self = static_cast<shared_waiter&>(wait);
    if (self.watcher_ != nullptr && self.watcher_->remove(self)) self.resume_here();
}

bool shared_waiter::await_resume() const {
    if (is_refused() || is_cancelled()) throw cancelled();
    return (state & unwatched) == 0;
}

task<> changed(shared_signal& signal, std::uint32_t seen) {
    const bool watched = co_await shared_change(&signal, seen);
    if (!watched) co_await sleep(polling_interval);
    if (has_lost_race()) throw cancelled();  // before it takes something
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
