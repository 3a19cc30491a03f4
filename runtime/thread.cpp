// SPDX-License-Identifier: MIT
// A thread of one's own, and a timer on one.
#include <rondo/thread.hpp>

#include <pthread.h>

#include <cstdio>

#include <rondo/thread_sync.hpp>

#include "report.hpp"

namespace rondo {
inline namespace v0 {

void thread::start(detail::function<void(std::stop_token)> fn) {
    thread_promise<> ends;
    ended_ = ends.get_future();
    worker_ = std::jthread(
        [name = name_.substr(0, 15), fn = std::move(fn), ends = std::move(ends)](std::stop_token stop) mutable {
            ::pthread_setname_np(::pthread_self(), name.c_str());
            try {
                fn(std::move(stop));
            } catch (...) {
                char text[48];
                std::snprintf(text, sizeof text, "an error left the thread %s", name.c_str());
                detail::report_thread_error(text, std::current_exception());
            }
            fn = {};
            ends.set_value();
        });
}

void thread::join() { join_for(duration::max()); }

bool thread::join_for(duration timeout) {
    if (!worker_.joinable()) return true;
    if (worker_.get_id() == std::this_thread::get_id()) throw deadlock_error("a thread joins itself");
    if (!ended_.wait_for(timeout)) return false;
    worker_.join();
    return true;
}

thread_timer::thread_timer(duration delay, detail::function<void()> fn) : delay_(delay), fn_(std::move(fn)) {}

thread_timer::~thread_timer() { cancel(); }

void thread_timer::start() {
    const lock held(mutex_);
    if (active_) throw invalid_state_error("thread_timer: it is started already");
    begin();
}

void thread_timer::cancel() noexcept {
    const lock held(mutex_);
    active_ = false;
    changed_.notify_all();
}

void thread_timer::reset() {
    const lock held(mutex_);
    begin();
}

void thread_timer::reset(duration delay) {
    const lock held(mutex_);
    delay_ = delay;
    begin();
}

bool thread_timer::active() const noexcept {
    const lock held(mutex_);
    return active_;
}

duration thread_timer::delay() const noexcept {
    const lock held(mutex_);
    return delay_;
}

// The lock is held. A thread that was there and will not look again has let go of the lock for good: it can be joined.
void thread_timer::begin() {
    if (!has_thread_) {
        worker_ = {};
        worker_ = std::jthread([this] { wait_and_call(); });
        has_thread_ = true;
    }
    due_ = detail::thread_deadline(delay_);
    active_ = true;
    changed_.notify_all();
}

void thread_timer::wait_and_call() noexcept {
    ::pthread_setname_np(::pthread_self(), "rondo-timer");
    lock held(mutex_);
    while (active_) {
        const time_point due = due_;
        if (detail::wait_until(changed_, held, due, [&] { return !active_ || due_ != due; })) continue;
        active_ = false;
        held.unlock();
        try {
            fn_();
        } catch (...) {
            detail::report_thread_error("a thread_timer's function threw", std::current_exception());
        }
        held.lock();
    }
    has_thread_ = false;
}

}  // namespace v0
}  // namespace rondo
