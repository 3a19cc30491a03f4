// SPDX-License-Identifier: MIT
// A thread of one's own: with a name, an end that can be waited for everywhere, and errors that are told instead of
// ending the program. And a timer that needs no loop.
//
//     rondo::thread reader("reader", [&](std::stop_token stop) { while (!stop.stop_requested()) read_one(); });
//     if (!reader.join_for(1s)) reader.request_stop();
//     co_await reader.ended();    // a task
//
// For many short jobs a thread_pool is cheaper, for one call to_thread is shorter.
#pragma once

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include <rondo/detail/base/function.hpp>
#include <rondo/detail/base/kept_call.hpp>
#include <rondo/thread_future.hpp>

namespace rondo {
inline namespace v0 {

/// Owns a thread that runs one function: std::jthread, named. What the function throws goes to the thread exception hook
/// (set_thread_exception_hook), and is no end of the program.
/// Thread: the object belongs to one at a time; `request_stop`, `running` and copies of `ended()` are for any.
/// See:    threading.Thread, std::jthread.
class RONDO_API thread {
public:
    /// None: nothing to join.
    thread() noexcept = default;
    /// Starts `fn(args...)`, or `fn(stop_token, args...)`, on copies of them, which die there, before `ended()`. ps, top
    /// and gdb show the first 15 bytes of `name` (pthread_setname_np(3)).
    /// Throws: std::system_error where the system gives no thread; std::bad_alloc.
    template <class F, class... Args>
        requires detail::can_be_kept<F, Args...>
    explicit thread(std::string name, F&& fn, Args&&... args) : name_(std::move(name)) {
        start([call = detail::kept<F, Args...>(std::in_place, std::forward<F>(fn), std::forward<Args>(args)...)](
                  std::stop_token stop) mutable {
            if constexpr (detail::kept<F, Args...>::takes_token)
                static_cast<void>(call(std::move(stop)));
            else
                static_cast<void>(call());
        });
    }
    /// Asks it to stop, and blocks until it has ended. Its own function must not do that, nor may it be done on the
    /// thread of a loop for which the function waits: that aborts with a sentence.
    ~thread() { end(); }
    thread(thread&&) noexcept = default;
    /// The thread that was there is asked to stop and joined.
    thread& operator=(thread&& other) noexcept;

    /// Blocks until it has ended. It may be called again, and where there is none. Never in a task, whose loop would
    /// stand still: there one awaits `ended()`.
    /// Throws: deadlock_error on this very thread, and on the thread of a loop for which its function waits.
    void join();
    /// The same for at most `timeout`: false where it has not ended then. See: Thread.join(timeout).
    bool join_for(detail::time_limit timeout);

    /// Has its function not returned yet? See: Thread.is_alive.
    bool running() const noexcept { return ended_ && !ended_.done(); }
    /// Sets its stop_token. False where that was done already, or there is no thread.
    bool request_stop() noexcept { return worker_.request_stop(); }
    /// Is there when the function has ended, however it did; never an error. For tasks: `co_await one.ended()`, which a
    /// cancellation leaves at once.
    thread_future<> ended() const noexcept { return ended_; }

    const std::string& name() const noexcept { return name_; }
    /// As std::this_thread::get_id says inside it.
    std::thread::id id() const noexcept { return worker_.get_id(); }

private:
    void start(detail::function<void(std::stop_token)> fn);
    void end() noexcept;

    std::string name_;
    thread_future<> ended_;
    std::jthread worker_;  // joined first
};

/// Calls a function once, a while after it was started, unless it is cancelled before: `timer` for programs without a
/// loop, at the price of a thread while it is started. It may be started again at any time. What the function throws goes
/// to the thread exception hook.
/// Thread: any; the function is called on a thread of the timer's own.
/// See:    threading.Timer.
class RONDO_API thread_timer {
public:
    /// Not started.
    thread_timer(detail::time_limit delay, detail::function<void()> fn);
    /// Cancels it, and blocks while the function runs. If the function itself destroys it, that aborts with a sentence.
    ~thread_timer();
    thread_timer(const thread_timer&) = delete;
    thread_timer& operator=(const thread_timer&) = delete;

    /// Starts it, from now.
    /// Throws: invalid_state_error where it is started already; std::system_error where the system gives no thread.
    void start();
    /// Stops it; nothing happens where it is not started. It does not wait for a call that has begun. May be called from
    /// inside the function.
    void cancel() noexcept;
    /// Starts it from now, whether it is started or not: for a deadline that every sign of life moves.
    /// Throws: std::system_error.
    void reset();
    void reset(detail::time_limit delay);

    /// Was it started, and neither cancelled nor due since?
    bool active() const noexcept;
    duration delay() const noexcept;

private:
    using lock = std::unique_lock<std::mutex>;
    void begin();
    void wait_and_call() noexcept;

    mutable std::mutex mutex_;
    std::condition_variable changed_;
    duration delay_;
    detail::function<void()> fn_;
    time_point due_{};
    bool active_ = false;
    bool has_thread_ = false;  // one that will look at `active_` again
    std::jthread worker_;
};

}  // namespace v0
}  // namespace rondo
