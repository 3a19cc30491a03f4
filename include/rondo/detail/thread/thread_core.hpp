// SPDX-License-Identifier: MIT
// The state that a thread_future and its giver share: a small state machine with its own mutex.
//
//     pending ---begin---> running ---finish---> valued | failed
//        \--------cancel--------------------------> cancelled     (also from running, by its giver)
//         \---withdraw---> withdrawn ---end_unbegun-----/
//
// A withdrawn job never begins. It ends when the thread to which it belongs has destroyed what the
// job owns.
//
// Each waiter is a watcher: a node on a thread's stack or in a coroutine's frame. It is notified
// with the mutex held. So a waiter that leaves early and unlinks its node knows that no other
// thread touches the node any more (law 1). Callbacks are called after the watchers, without the
// mutex, on the thread that ends the job.
//
// A lock-free list, as in folly or std::future's futex word, was not chosen: leaving early, which a
// timeout and a cancelled await do, is not possible in such a list in one step.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <mutex>
#include <optional>

#include <rondo/detail/base/function.hpp>
#include <rondo/detail/base/intrusive_list.hpp>
#include <rondo/detail/thread/posted_wait.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

/// A waiter for the end of a thread_core.
struct thread_watcher {
    void (*notify)(thread_watcher&) noexcept;  // called once, unlinked, with the core's mutex held
    list_links<thread_watcher> links;

    explicit thread_watcher(void (*n)(thread_watcher&) noexcept) noexcept : notify(n) {}
    thread_watcher(const thread_watcher&) = delete;
    thread_watcher& operator=(const thread_watcher&) = delete;
};

/// The state of a thread_future without its value.
/// Thread: any.
class RONDO_API thread_core {
public:
    enum class phase : std::uint8_t { pending, running, withdrawn, valued, failed, cancelled };

    thread_core() noexcept = default;
    thread_core(const thread_core&) = delete;
    thread_core& operator=(const thread_core&) = delete;

    // -- holders: one giver, and handles; the last one to go reports an error that was never read
    void add_handle() noexcept;
    void drop_handle() noexcept;
    void drop_giver() noexcept { release(); }
    bool has_handle() const noexcept { return handles_.load(std::memory_order_acquire) != 0; }
    bool has_one_handle() const noexcept { return handles_.load(std::memory_order_acquire) == 1; }

    // -- the giver's side -------------------------------------------------------------------------
    /// From pending to running. False if it was cancelled.
    bool begin() noexcept;
    /// begin() for a giver that may have begun already. False if it was cancelled. Throws:
    /// invalid_state_error if it has ended otherwise.
    bool claim();
    /// Ends it: notifies the watchers, then calls the callbacks. False if it had ended before.
    /// Destroy the job's callable and arguments before the call.
    bool finish(phase end) noexcept;
    /// Stores the error; call it before finish(phase::failed). Before finish(phase::cancelled), the
    /// future_cancelled that waiters get.
    void set_error(std::exception_ptr error) noexcept { error_ = std::move(error); }

    // -- the others' ------------------------------------------------------------------------------
    phase now() const noexcept { return phase_.load(std::memory_order_acquire); }
    bool done() const noexcept { return now() >= phase::valued; }
    bool cancel() noexcept;
    /// Links the watcher; false, and not linked, if it is done.
    bool watch(thread_watcher& watcher) noexcept;
    /// Unlinks the watcher; false if it was notified already.
    bool unwatch(thread_watcher& watcher) noexcept;
    /// Adds a callback; calls it now if it is done already.
    void add_callback(function<void()> call);
    /// Blocks the thread until it is done; false if the deadline passes first.
    /// Throws: deadlock_error if only this thread could end the wait.
    bool block(time_point deadline);
    /// Throws the error with which it ended, unless it has a value. It must be done.
    void check();
    /// The error with which it ended; null for a value. Throws: future_cancelled.
    std::exception_ptr see_error();
    /// True if this cannot end unless `what` makes progress: a pool, a `thread`, a loop
    /// (remote::identity) or the scope of a task.
    virtual bool depends_on(const void* /*what*/) const noexcept { return false; }

protected:
    virtual ~thread_core();
    /// Cancels it before it begins, after it has left its queue and what it owns is destroyed.
    /// False if it has begun.
    virtual bool cancel_unbegun() noexcept { return end_unbegun(); }
    /// Asks a job that has begun to stop: true if that was possible.
    virtual bool ask_to_stop() noexcept { return false; }
    /// From pending to withdrawn. False if it was not pending.
    bool withdraw() noexcept;
    /// From pending or withdrawn to cancelled. False if it was neither.
    bool end_unbegun() noexcept {
        return end(phase::cancelled, phase::pending) || end(phase::cancelled, phase::withdrawn);
    }
    void add_giver() noexcept { owners_.fetch_add(1, std::memory_order_relaxed); }

private:
    struct callback {
        function<void()> call;
        callback* next = nullptr;
        void operator()() noexcept;
    };

    bool end(phase end, phase from) noexcept;
    void release() noexcept;

    std::atomic<phase> phase_{phase::pending};
    std::atomic<bool> seen_{false};             // the error was read
    std::atomic<std::uint32_t> owners_{2};      // the giver, and all handles together
    std::atomic<std::uint32_t> handles_{1};
    std::mutex mutex_;
    intrusive_list<thread_watcher, &thread_watcher::links> watchers_;
    intrusive_fifo<callback, &callback::next> callbacks_;
    std::exception_ptr error_;
};

/// The awaiter of a thread_core, of which it holds a handle.
class RONDO_API thread_core_wait : posted_wait, thread_watcher {
public:
    /// Takes over a handle of the count.
    explicit thread_core_wait(thread_core& core) noexcept;
    ~thread_core_wait();
    bool await_ready() noexcept;
    void await_suspend(std::coroutine_handle<> frame, location at = location::current());

protected:
    /// Ends the wait: throws the core's error, or `cancelled`.
    void finish();
    thread_core& core() const noexcept { return *core_; }

private:
    static const wait_kind kind_;
    static void leave(leaf_wait& wait) noexcept;

    thread_core* core_;
};

/// A thread_core with a value.
template <class T>
class given_state : public thread_core {
public:
    value_slot<T> value;

protected:
    ~given_state() override {
        if (now() == phase::valued) value.destroy();
    }
};
template <>
class given_state<void> : public thread_core {
protected:
    ~given_state() override = default;
};

/// The value, which must be there. Moved out if the caller holds the last handle, or if it cannot
/// be copied.
template <class T>
T take_value(thread_core& core) {
    if constexpr (!std::is_void_v<T>) {
        auto& value = static_cast<given_state<T>&>(core).value.get();
        if constexpr (!std::is_reference_v<T> && can_be_copied<T>)
            if (!core.has_one_handle()) return T(std::as_const(value));
        return static_cast<T&&>(value);
    }
}

template <class T>
decltype(auto) look_at_value(thread_core& core) noexcept {
    if constexpr (std::is_reference_v<T>)
        return static_cast<T>(static_cast<given_state<T>&>(core).value.get());
    else if constexpr (!std::is_void_v<T>)
        return static_cast<const T&>(static_cast<given_state<T>&>(core).value.get());
}

/// Stores the exception that is being handled, and returns the phase for finish(): `cancelled` if
/// it is rondo::cancelled.
RONDO_API thread_core::phase keep_exception(thread_core& core) noexcept;

/// Makes the call, stores its value or error, and returns the phase for finish().
template <class T, class Call>
thread_core::phase keep_outcome(given_state<T>& state, Call&& call) noexcept {
    try {
        if constexpr (std::is_void_v<T>)
            call();
        else
            state.value.emplace(call());
    } catch (...) {
        return keep_exception(state);
    }
    return thread_core::phase::valued;
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
