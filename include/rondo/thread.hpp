// SPDX-License-Identifier: MIT
// A named thread. Threads, tasks and callbacks can wait for its end, and an exception that leaves
// its function is reported instead of ending the program. Also a timer that needs no loop.
//
//     rondo::thread reader("reader", [&](std::stop_token stop) {
//         while (!stop.stop_requested()) read_one();
//     });
//     if (!reader.join_for(1s)) reader.request_stop();
//     co_await reader.ended();    // a task
//
// For many short jobs a thread_pool is cheaper; for one call to_thread is shorter.
#pragma once

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include <rondo/detail/base/function.hpp>
#include <rondo/detail/base/kept_call.hpp>
#include <rondo/thread_future.hpp>
#include <rondo/threads.hpp>

namespace rondo {
inline namespace v0 {

/// Owns a thread that runs one function: a std::jthread with a name. An exception of the function
/// goes to the thread exception hook (set_thread_exception_hook) and does not end the program.
/// Thread: the object may be used by one thread at a time; `request_stop`, `running`, the functions
///         of its name and copies of `ended()` by any.
/// See:    threading.Thread, std::jthread.
class RONDO_API thread {
public:
    /// No thread; there is nothing to join.
    thread() noexcept = default;
    /// Starts `fn(args...)`, or `fn(stop_token, args...)`, with copies of both, which are destroyed
    /// on the new thread before `ended()` is done. ps, top and gdb show the first 15 bytes of
    /// `name` (pthread_setname_np(3)); see threads.hpp.
    /// Throws: std::system_error if the system cannot start a thread; std::bad_alloc.
    template <class F, class... Args>
        requires detail::can_be_kept<F, Args...>
    explicit thread(std::string name, F&& fn, Args&&... args) {
        using kept = detail::kept<F, Args...>;
        auto call = [call = kept(std::in_place, std::forward<F>(fn), std::forward<Args>(args)...)](
                        std::stop_token stop) mutable {
            if constexpr (kept::takes_token)
                static_cast<void>(call(std::move(stop)));
            else
                static_cast<void>(call());
        };
        start(std::move(name), std::move(call));
    }
    /// Requests a stop, and blocks until the thread has ended. Aborts with a sentence on the thread
    /// itself, and on the thread of a loop that the function waits for.
    ~thread() { end(); }
    thread(thread&&) noexcept = default;
    /// Requests a stop of the thread that it held before, and joins it.
    thread& operator=(thread&& other) noexcept;

    /// Blocks until the thread has ended. May be called again, and without a thread. Do not call it
    /// in a task, whose loop would stand still: there, await `ended()`.
    /// Throws: deadlock_error on the thread itself, and on the thread of a loop that the function
    ///         waits for.
    void join();
    /// Blocks for at most `timeout`; returns false if the thread has not ended then.
    /// See: Thread.join(timeout).
    bool join_for(detail::time_limit timeout);

    /// True until its function has returned. See: Thread.is_alive.
    bool running() const noexcept { return ended_ && !ended_.done(); }
    /// Sets the stop_token. Returns false if it was set already, or if there is no thread.
    bool request_stop() noexcept { return worker_.request_stop(); }
    /// Done when the function has ended, in any way; never an error. In a task: `co_await
    /// one.ended()`; a cancellation leaves the wait at once.
    thread_future<> ended() const noexcept { return ended_; }

    /// Its name, also after its end. Empty if there is no thread.
    /// Thread: any.
    std::string name() const;
    /// Renames it. Inside its function, set_this_thread_name does the same. There must be a thread.
    /// Thread: any.
    /// See:    Thread.name.
    void set_name(std::string name);
    /// The number that ps -L, top and gdb show. 0 before it has begun and after its end.
    /// Thread: any.
    /// See:    Thread.native_id, gettid(2).
    int native_id() const noexcept;
    /// The value of std::this_thread::get_id inside the thread.
    std::thread::id id() const noexcept { return worker_.get_id(); }

private:
    void start(std::string name, detail::function<void(std::stop_token)> fn);
    void end() noexcept;

    thread_future<> ended_;
    std::jthread worker_;  // joined first
};

/// Calls a function once, `delay` after `start`, unless it is cancelled before. A `timer` for
/// programs without a loop, at the price of one thread while it is started. May be started again at
/// any time. An exception of the function goes to the thread exception hook.
/// Thread: any; the function is called on the timer's own thread.
/// See:    threading.Timer.
class RONDO_API thread_timer {
public:
    /// Does not start the timer.
    thread_timer(detail::time_limit delay, detail::function<void()> fn);
    /// Cancels the timer, and blocks while the function runs. Aborts with a sentence if the
    /// function itself destroys the timer.
    ~thread_timer();
    thread_timer(const thread_timer&) = delete;
    thread_timer& operator=(const thread_timer&) = delete;

    /// Starts the timer; `delay` counts from now.
    /// Throws: invalid_state_error if it is started already; std::system_error if the system cannot
    ///         start a thread.
    void start();
    /// Stops the timer; does nothing if it is not started. Does not wait for a call that has begun.
    /// May be called inside the function.
    void cancel() noexcept;
    /// Starts the timer, or restarts a started one; `delay` counts from now. For a deadline that
    /// each sign of life moves.
    /// Throws: std::system_error.
    void reset();
    void reset(detail::time_limit delay);

    /// True from `start` until it is cancelled or due.
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
    bool has_thread_ = false;  // it will check `active_` again
    std::jthread worker_;
};

}  // namespace v0
}  // namespace rondo
