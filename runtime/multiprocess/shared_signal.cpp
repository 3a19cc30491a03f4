// SPDX-License-Identifier: MIT
// Futexes, and the thread that waits for those of a loop's tasks.
//
// The watcher's list is its only state. It goes through the list under its mutex, sends those home whose word has changed,
// and waits for the words of all others together with a bell of its own, which is rung when one comes in. A task that
// leaves does not ring: its word is watched once in vain. The word may lie in memory that is gone by then, which the kernel
// says (EFAULT), or in which another one lies now, which is waited for in vain as well.
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

#include "thread/pool_threads.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

constexpr duration between_looks = std::chrono::milliseconds(10);  // where nobody can watch

/// Words for futex_waitv.
class watched_words {
public:
    /// False where there is no room; a word that is there already is not taken twice.
    bool add(const std::atomic<std::uint32_t>& word, std::uint32_t seen) noexcept {
        const auto address = reinterpret_cast<std::uint64_t>(&word);
        const auto end = words_.begin() + static_cast<std::ptrdiff_t>(count_);
        if (std::any_of(words_.begin(), end, [&](const auto& each) { return each.uaddr == address; }))
            return true;
        if (count_ == words_.size()) return false;
        words_[count_] = {};
        words_[count_].uaddr = address;
        words_[count_].val = seen;
        words_[count_].flags = FUTEX_32;
        ++count_;
        return true;
    }
    /// Until one of them changes, at most until `limit`.
    void wait(time_point limit) noexcept {
        timespec until = as_timespec(limit.time_since_epoch());
        const bool for_ever = limit == time_point::max();
        ::syscall(SYS_futex_waitv, words_.data(), count_, 0, for_ever ? nullptr : &until, CLOCK_MONOTONIC);
    }

private:
    std::array<futex_waitv, FUTEX_WAITV_MAX> words_;
    std::size_t count_ = 0;
};

/// Does this kernel know futex_waitv, and may we call it?
bool has_waitv() noexcept {
    static const bool has = ::syscall(SYS_futex_waitv, nullptr, 0, 0, nullptr, 0) < 0 && errno == EINVAL;
    return has;
}

}  // namespace

timespec as_timespec(duration span) noexcept {
    const auto ns = std::max(span, duration::zero()).count();
    return {static_cast<time_t>(ns / 1'000'000'000), static_cast<long>(ns % 1'000'000'000)};
}

// -- the signal -------------------------------------------------------------------------------------------------------

void shared_signal::bump() noexcept {
    changes_.fetch_add(1);
    if (waiting_.load() != 0)
        ::syscall(SYS_futex, &changes_, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

bool shared_signal::wait(std::uint32_t seen, time_point deadline) noexcept {
    const timespec until = as_timespec(deadline.time_since_epoch());
    const bool for_ever = deadline == time_point::max();
    waiting_.fetch_add(1);
    // FUTEX_WAIT_BITSET takes a point of the monotonic clock, FUTEX_WAIT a span.
    const long done = ::syscall(SYS_futex, &changes_, FUTEX_WAIT_BITSET, seen,
                                for_ever ? nullptr : &until, nullptr, FUTEX_BITSET_MATCH_ANY);
    const bool late = done != 0 && errno == ETIMEDOUT;
    waiting_.fetch_sub(1);
    return !late;
}

// -- the watcher ------------------------------------------------------------------------------------------------------

/// A loop's.
class shared_watcher {
public:
    static shared_watcher& of(loop& loop);

    /// False where there is no thread and can be none.
    bool add(shared_waiter& waiter) noexcept;
    /// False where it has been sent home already.
    bool remove(shared_waiter& waiter) noexcept;
    void join() noexcept;

private:
    void work() noexcept;
    /// Sends home whose word has changed, and gives the others' words. With the mutex held. False where there was not room
    /// for all.
    bool go_through(watched_words& words) noexcept;

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

bool shared_watcher::go_through(watched_words& words) noexcept {
    bool room = words.add(bell_.changes_, bell_.now());
    wait_list unchanged;
    while (!waiters_.empty()) {
        auto& waiter = static_cast<shared_waiter&>(waiters_.pop());
        if (waiter.signal_->now() == waiter.seen_) {
            unchanged.append(waiter);
            room = words.add(waiter.signal_->changes_, waiter.seen_) && room;
        } else {
            waiter.signal_->waiting_.fetch_sub(1);
            waiter.come_home();
        }
    }
    waiters_ = unchanged;
    return room;
}

void shared_watcher::work() noexcept {
    ::pthread_setname_np(::pthread_self(), "rondo-shared");
    bell_.waiting_ = 1;
    for (;;) {
        watched_words words;
        bool room = true;
        {
            const std::lock_guard lock(mutex_);
            if (ending_) return;
            room = go_through(words);
        }
        time_point limit = time_point::max();
        if (!room) limit = std::chrono::steady_clock::now() + between_looks;
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

// -- the task's side --------------------------------------------------------------------------------------------------

constinit const wait_kind shared_waiter::kind_of{"something that processes share", leave, nullptr};

shared_waiter::shared_waiter(shared_signal* signal, std::uint32_t seen) noexcept
    : leaf_wait(kind_of),
      signal_(signal),
      seen_(seen),
      post_{[](void* word) noexcept { detail::wake(static_cast<leaf_wait&>(*static_cast<shared_waiter*>(word))); },
            this} {}

// Only a frame that is destroyed while it waits is still watched.
shared_waiter::~shared_waiter() {
    if (watcher_ != nullptr) watcher_->remove(*this);
}

bool shared_waiter::await_ready() noexcept {
    if (is_cancelled()) {
        state |= refused;
        return may_go_on();
    }
    return (signal_ == nullptr || signal_->now() != seen_) && may_go_on();
}

void shared_waiter::await_suspend(std::coroutine_handle<> frame, location at) {
    if ((state & refused) != 0) {
        park(*this, frame, at);
        return requeue(*this);
    }
    if (signal_ == nullptr || signal_->now() != seen_) {  // it is ready, but others are to run first
        park(*this, frame, at);
        return detail::wake(static_cast<leaf_wait&>(*this));
    }
    shared_watcher& watcher = shared_watcher::of(running_loop());
    home_.emplace(remote_of(*here.current->home));
    park(*this, frame, at);
    // On the simulator nobody watches: it comes back at a moment of the kernel's choice, and looks again.
    if (run_elsewhere(*here.current->home, [](void* self) { static_cast<shared_waiter*>(self)->come_home(); }, this))
        return;
    watcher_ = &watcher;
    if (watcher.add(*this)) return;
    state |= unwatched;
    detail::wake(static_cast<leaf_wait&>(*this));
}

// One whose post is under way goes on with that: the post is in his frame.
void shared_waiter::leave(leaf_wait& wait) noexcept {
    auto& self = static_cast<shared_waiter&>(wait);
    if (self.watcher_ != nullptr && self.watcher_->remove(self)) detail::wake(wait);
}

// A loop that has ended takes no post; but then the frame is about to be destroyed, and nobody waits there.
void shared_waiter::come_home() noexcept { home_->try_post(post_); }

bool shared_waiter::await_resume() const {
    if ((state & refused) != 0 || is_cancelled()) throw cancelled();
    return (state & unwatched) == 0;
}

task<> changed(shared_signal& signal, std::uint32_t seen) {
    const bool watched = co_await shared_change(&signal, seen);
    if (!watched) co_await sleep(between_looks);
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
