// SPDX-License-Identifier: MIT
// The end of a thread_core, and its waiters.
#include <rondo/thread_future.hpp>

#include <condition_variable>
#include <memory>
#include <string>

#include <rondo/thread_sync.hpp>

#include "thread/own_thread.hpp"
#include "coroutine/report.hpp"

namespace rondo {
inline namespace v0 {

namespace {

std::atomic<thread_exception_hook> hook_of_threads{nullptr};

}  // namespace

thread_exception_hook set_thread_exception_hook(thread_exception_hook hook) noexcept {
    return hook_of_threads.exchange(hook, std::memory_order_acq_rel);
}

namespace detail {

void report_thread_error(const char* message, std::exception_ptr error) noexcept {
    try {
        const exception_context context{message, std::move(error)};
        if (const thread_exception_hook hook = hook_of_threads.load(std::memory_order_acquire))
            hook(context);
        else
            write_report(context);
    } catch (...) {  // no memory for the report
    }
}

void thread_core::callback::operator()() noexcept {
    try {
        call();
    } catch (...) {
        report_thread_error("a done callback of a thread_future threw", std::current_exception());
    }
}

namespace {

/// A waiting thread, on its own stack.
struct blocked_thread final : thread_watcher, blocking {
    const thread_core& core;
    std::condition_variable woken;
    bool done = false;
    explicit blocked_thread(const thread_core& c) noexcept
        : thread_watcher([](thread_watcher& self) noexcept {
              static_cast<blocked_thread&>(self).done = true;
              static_cast<blocked_thread&>(self).woken.notify_one();
          }),
          core(c) {}
    bool depends_on(const void* what) const noexcept override {
        return !core.done() && core.depends_on(what);
    }
};

}  // namespace

// -- holders --------------------------------------------------------------------------------------

thread_core::~thread_core() {
    if (now() == phase::failed && !seen_.load(std::memory_order_relaxed))
        report_thread_error("a thread_future failed and its exception was never retrieved", error_);
}

void thread_core::add_handle() noexcept { handles_.fetch_add(1, std::memory_order_relaxed); }

void thread_core::drop_handle() noexcept {
    if (handles_.fetch_sub(1, std::memory_order_acq_rel) == 1) release();
}

void thread_core::release() noexcept {
    if (owners_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
}

// -- the way to the end ---------------------------------------------------------------------------

bool thread_core::begin() noexcept {
    phase expected = phase::pending;
    return phase_.compare_exchange_strong(expected, phase::running, std::memory_order_acq_rel);
}

bool thread_core::withdraw() noexcept {
    phase expected = phase::pending;
    return phase_.compare_exchange_strong(expected, phase::withdrawn, std::memory_order_acq_rel);
}

bool thread_core::claim() {
    if (begin() || !done()) return true;
    if (now() == phase::cancelled) return false;
    throw invalid_state_error("the thread_promise was filled before");
}

bool thread_core::finish(phase last) noexcept { return end(last, phase::running); }

bool thread_core::cancel() noexcept {
    return cancel_unbegun() || (now() <= phase::running && ask_to_stop());
}

bool thread_core::end(phase last, phase from) noexcept {
    intrusive_fifo<callback, &callback::next> callbacks;
    {
        const std::lock_guard lock(mutex_);
        if (!phase_.compare_exchange_strong(from, last, std::memory_order_acq_rel)) return false;
        while (!watchers_.empty()) {
            thread_watcher& watcher = watchers_.pop();
            watcher.notify(watcher);
        }
        callbacks.take(callbacks_);
    }
    while (!callbacks.empty()) {
        const std::unique_ptr<callback> next(&callbacks.pop());
        (*next)();
    }
    return true;
}

thread_core::phase keep_exception(thread_core& core) noexcept {
    try {
        throw;
    } catch (const cancelled&) {
        return thread_core::phase::cancelled;
    } catch (...) {
        core.set_error(std::current_exception());
        return thread_core::phase::failed;
    }
}

// -- waiting --------------------------------------------------------------------------------------

bool thread_core::watch(thread_watcher& watcher) noexcept {
    const std::lock_guard lock(mutex_);
    if (done()) return false;
    watchers_.append(watcher);
    return true;
}

bool thread_core::unwatch(thread_watcher& watcher) noexcept {
    const std::lock_guard lock(mutex_);
    if (!watcher.links.linked()) return false;
    watchers_.remove(watcher);
    return true;
}

void thread_core::add_callback(function<void()> call) {
    if (!done()) {
        auto later = std::make_unique<callback>(callback{std::move(call)});
        const std::lock_guard lock(mutex_);
        if (!done()) return callbacks_.append(*later.release());
        call = std::move(later->call);
    }
    callback{std::move(call)}();
}

bool thread_core::block(time_point deadline) {
    if (done()) return true;
    RONDO_ASSERT(here.current == nullptr,
                 "a task must not block on a thread_future, its loop would stand still: "
                 "co_await it");
    blocked_thread self(*this);
    const blocking_scope announced(self, deadline == time_point::max());
    std::unique_lock lock(mutex_);
    if (done()) return true;
    watchers_.append(self);
    if (wait_until(self.woken, lock, deadline, [&] { return self.done; })) return true;
    lock.unlock();
    return !unwatch(self);
}

void thread_core::check() {
    if (now() == phase::valued) return;
    if (const std::exception_ptr error = see_error()) std::rethrow_exception(error);
}

std::exception_ptr thread_core::see_error() {
    if (now() == phase::cancelled) {
        if (error_ != nullptr) std::rethrow_exception(error_);
        throw future_cancelled();
    }
    if (now() == phase::valued) return nullptr;
    seen_.store(true, std::memory_order_relaxed);
    return error_;
}

// -- awaiting -------------------------------------------------------------------------------------

constinit const wait_kind thread_core_wait::kind_{"thread_future", leave, nullptr};

thread_core_wait::thread_core_wait(thread_core& core) noexcept
    : posted_wait(kind_),
      thread_watcher([](thread_watcher& self) noexcept {
          static_cast<thread_core_wait&>(self).post();
      }),
      core_(&core) {}

// The awaiter is linked here only if its frame is destroyed during the wait.
thread_core_wait::~thread_core_wait() {
    if (has_home()) core_->unwatch(*this);
    core_->drop_handle();
}

bool thread_core_wait::await_ready() noexcept {
    if (is_cancelled()) return cancel_at_start();
    return core_->done() && may_go_on();
}

void thread_core_wait::await_suspend(std::coroutine_handle<> frame, location at) {
    park(*this, frame, at);
    if (is_refused()) return requeue(*this);
    if (!core_->done()) {
        set_home();
        if (core_->watch(*this)) return;
    }
    resume_here();
}

// If a post to this awaiter is under way, the task resumes by that post and has the result (law 2).
void thread_core_wait::leave(leaf_wait& wait) noexcept {
    auto& self = static_cast<thread_core_wait&>(wait);
    if (!self.has_home() || !self.core_->unwatch(self)) return;
    self.state = refused;
    self.resume_here();
}

void thread_core_wait::finish() {
    if (is_refused()) throw cancelled();
    core_->check();
}

time_point blocking_deadline(duration timeout) noexcept { return thread_deadline(timeout); }

void throw_not_in_time(duration timeout) { throw timeout_error(timeout); }

}  // namespace detail
}  // namespace v0
}  // namespace rondo
