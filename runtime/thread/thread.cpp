// SPDX-License-Identifier: MIT
// rondo::thread, and a timer on a thread.
#include <rondo/thread.hpp>

#include <pthread.h>

#include <cstdio>
#include <memory>

#include <rondo/thread_sync.hpp>

#include "thread/listed_thread.hpp"
#include "thread/own_thread.hpp"
#include "coroutine/report.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {
namespace {

/// The end of a rondo::thread, its name, and the wait in which its function blocks.
class thread_end final : public given_state<void>, public thread_host {
public:
    explicit thread_end(std::string name) noexcept
        : listed(thread_kind::thread, std::move(name)) {}

    listed_thread listed;

    struct giver {
        void operator()(thread_end* end) const noexcept { end->drop_giver(); }
    };
    using given = std::unique_ptr<thread_end, giver>;

    static thread_end& of(const thread_future<>& ended) noexcept {
        return static_cast<thread_end&>(ended.core());
    }

    bool depends_on(const void* what) const noexcept override { return what == identity(); }
    const void* identity() const noexcept override { return this; }
    void begin_block(const blocking& on) override {
        const std::lock_guard lock(mutex_);
        if (on.depends_on(identity()))
            throw deadlock_error("deadlock: a thread waits for its own end");
        if (joining_loop_ != nullptr && on.depends_on(joining_loop_))
            throw deadlock_error(
                "deadlock: a thread waits for a loop whose thread joins it; co_await ended() in a "
                "task");
        waits_for_ = &on;
    }
    void end_block() noexcept override {
        const std::lock_guard lock(mutex_);
        waits_for_ = nullptr;
    }

    /// The calling thread is about to join. False if the function waits for the loop of the calling
    /// thread.
    bool may_be_joined() noexcept {
        const void* const loop = loop_of_this_thread();
        const std::lock_guard lock(mutex_);
        if (loop != nullptr && waits_for_ != nullptr && waits_for_->depends_on(loop)) return false;
        joining_loop_ = loop;
        return true;
    }

private:
    std::mutex mutex_;
    const blocking* waits_for_ = nullptr;
    const void* joining_loop_ = nullptr;  // the loop whose thread joins this one
};

}  // namespace
}  // namespace detail

void thread::start(std::string name, detail::function<void(std::stop_token)> fn) {
    detail::thread_end::given end(new detail::thread_end(std::move(name)));
    ended_ = thread_future<>(end.get());
    end->begin();
    worker_ = std::jthread([fn = std::move(fn), end = std::move(end)](
                               std::stop_token stop) mutable {
        end->listed.begin();
        detail::thread_host::of_this_thread() = end.get();
        try {
            fn(std::move(stop));
        } catch (...) {
            char text[128];
            std::snprintf(text, sizeof text, "an exception left the function of thread %s",
                          end->listed.name().c_str());
            detail::report_thread_error(text, std::current_exception());
        }
        fn = {};
        detail::thread_host::of_this_thread() = nullptr;
        end->listed.end();
        end->finish(detail::thread_core::phase::valued);
    });
}

void thread::end() noexcept {
    if (!worker_.joinable()) return;
    RONDO_ASSERT(worker_.get_id() != std::this_thread::get_id(),
                 "deadlock: a thread was destroyed by its own function");
    worker_.request_stop();
    RONDO_ASSERT(detail::thread_end::of(ended_).may_be_joined(),
                 "a thread was destroyed on a loop's thread while its function waits for that "
                 "loop: co_await ended() first");
    worker_.join();
}

thread& thread::operator=(thread&& other) noexcept {
    if (this == &other) return *this;
    end();
    ended_ = std::move(other.ended_);
    worker_ = std::move(other.worker_);
    return *this;
}

std::string thread::name() const {
    return ended_ ? detail::thread_end::of(ended_).listed.name() : std::string();
}

void thread::set_name(std::string name) {
    RONDO_ASSERT(static_cast<bool>(ended_), "set_name of a rondo::thread that holds no thread");
    detail::thread_end::of(ended_).listed.set_name(std::move(name));
}

int thread::native_id() const noexcept {
    return ended_ ? detail::thread_end::of(ended_).listed.native_id() : 0;
}

void thread::join() { join_for(duration::max()); }

bool thread::join_for(detail::time_limit timeout) {
    if (!worker_.joinable()) return true;
    if (worker_.get_id() == std::this_thread::get_id())
        throw deadlock_error("deadlock: a thread joins itself");
    if (timeout == duration::max() && !detail::thread_end::of(ended_).may_be_joined())
        throw deadlock_error(
            "deadlock: a thread is joined on a loop's thread, and its function waits for that "
            "loop; co_await ended()");
    if (!ended_.wait_for(timeout)) return false;
    worker_.join();
    return true;
}

thread_timer::thread_timer(detail::time_limit delay, detail::function<void()> fn)
    : delay_(delay), fn_(std::move(fn)) {}

thread_timer::~thread_timer() {
    RONDO_ASSERT(worker_.get_id() != std::this_thread::get_id(),
                 "deadlock: a thread_timer was destroyed by its own function");
    cancel();
}

void thread_timer::start() {
    const lock held(mutex_);
    if (active_) throw invalid_state_error("the thread_timer is already started");
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

void thread_timer::reset(detail::time_limit delay) {
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

// The caller holds the mutex. If has_thread_ is false, an earlier thread has released the mutex for
// the last time and can be joined.
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
    const detail::listed_here listed(thread_kind::timer, "rondo-timer");
    lock held(mutex_);
    while (active_) {
        const time_point due = due_;
        if (detail::wait_until(changed_, held, due, [&] { return !active_ || due_ != due; }))
            continue;
        active_ = false;
        held.unlock();
        try {
            fn_();
        } catch (...) {
            detail::report_thread_error("a thread_timer's function threw",
                                        std::current_exception());
        }
        held.lock();
    }
    has_thread_ = false;
}

}  // namespace v0
}  // namespace rondo
