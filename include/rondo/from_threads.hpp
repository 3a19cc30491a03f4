// SPDX-License-Identifier: MIT
// From a thread into a loop: runs a coroutine on the loop and waits for its result on the thread.
//
//     // On any thread; gives a thread_future<std::string>:
//     auto page = run_coroutine_threadsafe(fetch(url), loop);
//     // In a job of to_thread or submit, runs on the loop of the job's task:
//     std::string text = block_on(fetch(url));
//
// For a plain call use loop.call_soon_threadsafe, or `remote`, which outlives the loop.
#pragma once

#include <atomic>
#include <memory>
#include <type_traits>
#include <utility>

#include <rondo/detail/thread/pool_job.hpp>
#include <rondo/task.hpp>
#include <rondo/thread_future.hpp>

namespace rondo {
inline namespace v0 {

namespace detail {

/// A task on its way into a loop, and the state of its future. References are held by the post,
/// then by the running task; by the handles; and by each cancellation that is on its way.
class RONDO_API coroutine_start {
public:
    coroutine_start(const remote& home, scope* around, location where)
        : home_(home),
          around_(around),
          job_scope_(around != nullptr ? new scope{} : nullptr),
          where_(where) {}
    const remote& home() const noexcept { return home_; }

protected:
    ~coroutine_start() = default;
    /// Runs `t` on this thread's loop, below the scope `around` or as a detached task. Only the
    /// loop holds it.
    shared_core& launch(task<> t);

private:
    const remote home_;
    scope* const around_;
    // A scope between `around` and the task: if `around` is the scope of a task group, the group
    // has not started this task and must not count it.
    std::unique_ptr<scope> job_scope_;
    const location where_;
};

template <class T>
class remote_coroutine final : public given_state<T>, coroutine_start {
public:
    remote_coroutine(task<T> body, const remote& home, scope* around, location where)
        : coroutine_start(home, around, where), body_(std::move(body)) {}

    /// Throws: closed_error if the loop has ended; only the handles hold the state then.
    void send() {
        home().post([](void* self) { static_cast<remote_coroutine*>(self)->arrive(); },
                    [](void* self) { static_cast<remote_coroutine*>(self)->drop(); }, this);
    }
    bool depends_on(const void* what) const noexcept override {
        return what == home().identity() || what == scope_.load(std::memory_order_relaxed);
    }

private:
    /// The reference that the running task holds; released even if the task is destroyed before its
    /// first turn.
    class share {
    public:
        explicit share(remote_coroutine* s) noexcept : state(s) {}
        share(share&& other) noexcept : state(std::exchange(other.state, nullptr)) {}
        ~share() {
            if (state != nullptr) state->drop();
        }
        remote_coroutine* state;
    };

    static task<> drive(share mine) {
        remote_coroutine& self = *mine.state;
        thread_core::phase end = thread_core::phase::valued;
        try {
            if constexpr (std::is_void_v<T>)
                co_await std::move(self.body_);
            else
                self.value.emplace(co_await std::move(self.body_));
        } catch (...) {
            end = keep_exception(self);
        }
        self.finish(end);
    }
    void arrive() {
        share mine(this);
        if (!this->begin()) return;
        running_ = &launch(drive(std::move(mine)));
        scope_ = static_cast<const scope*>(&static_cast<promise_base*>(running_)->record);
    }
    // Called in the destructor of the task's frame at the latest. A body that has not run is
    // destroyed here, on the loop's thread, because its objects may belong to that thread. Its
    // future is done only after that.
    void drop() noexcept {
        scope_ = nullptr;
        running_ = nullptr;
        { const task<T> never_runs(std::move(body_)); }
        if (!this->end_unbegun()) this->finish(thread_core::phase::cancelled);
        this->drop_giver();
    }
    bool cancel_unbegun() noexcept override { return this->withdraw(); }
    bool ask_to_stop() noexcept override {
        this->add_giver();
        const auto cancel_it = [](void* word) {
            auto* self = static_cast<remote_coroutine*>(word);
            if (self->running_ != nullptr) cancel_shared(*self->running_);
            self->drop_giver();
        };
        if (home().try_post(cancel_it, this)) return true;
        this->drop_giver();
        return false;
    }

    task<T> body_;
    shared_core* running_ = nullptr;             // used on the loop's thread only
    std::atomic<const void*> scope_{nullptr};  // of the task that runs it
};

template <class T>
thread_future<T> send_coroutine(task<T> t, const remote& home, scope* around, location where) {
    auto* state = new remote_coroutine<T>(std::move(t), home, around, where);
    thread_future<T> result(state);
    state->send();
    return result;
}

/// The origin of this thread's job. Throws: invalid_state_error if it came from no loop.
RONDO_API const job_origin& origin_for_block_on();

}  // namespace detail

/// Runs `t` as a task of the loop. Cancelling the future cancels the task.
/// Throws: closed_error if the loop has ended. From `get` and `co_await`: the error of the task;
///         future_cancelled if it was cancelled, also by the end of the loop.
/// Thread: any. The frame of `t` is made on the caller's thread and runs on the loop's: do not let
///         it borrow from the caller.
/// See:    asyncio.run_coroutine_threadsafe.
template <class T>
thread_future<T> run_coroutine_threadsafe(task<T> t, const remote& home,
                                          detail::location where = detail::location::current()) {
    return detail::send_coroutine(std::move(t), home, nullptr, where);
}
template <class T>
thread_future<T> run_coroutine_threadsafe(task<T> t, const loop& home,
                                          detail::location where = detail::location::current()) {
    return detail::send_coroutine(std::move(t), home.remote(), nullptr, where);
}

/// In a job of to_thread, run_in_executor or submit: runs `t` on the loop of the task that made the
/// job, and blocks the thread until it has ended. `t` may borrow from the caller. In a job of
/// to_thread or run_in_executor, `t` is a child of the task that waits for the job: it is cancelled
/// with that task and sees the values of task_locals.
/// Throws: the error of `t`; future_cancelled if it was cancelled; invalid_state_error if no task
///         made the job, and on a loop's own thread; closed_error if the loop has ended.
/// See:    trio.from_thread.run, asgiref's async_to_sync.
template <class T>
T block_on(task<T> t, detail::location where = detail::location::current()) {
    const detail::job_origin& origin = detail::origin_for_block_on();
    return detail::send_coroutine(std::move(t), *origin.home, origin.around, where).get();
}


namespace detail {

template <class... A>
constexpr refused_call refuse_block_on() {
    using given = std::tuple<std::decay_t<A>..., void, void>;
    if constexpr (sizeof...(A) != 1)
        static_assert(sizeof...(A) == 1,
                      "block_on takes one task: it runs on the loop that the job came from");
    else if constexpr (any_awaitable<std::tuple_element_t<0, given>>)
        static_assert(is_meant<A...>,
                      "block_on takes a task: await this in a coroutine, and pass that");
    else
        return (refuse_start<A>(), ...);
    return {};
}

template <class First, class... More>
constexpr refused_call refuse_threadsafe() {
    using given = std::decay_t<First>;
    if constexpr (std::is_same_v<given, loop> || std::is_same_v<given, remote>)
        static_assert(is_meant<First>,
                      "run_coroutine_threadsafe(task, loop): the task comes first");
    else if constexpr (is_task<given>::value)
        static_assert(is_meant<First>,
                      "run_coroutine_threadsafe(task, loop): the second argument is a rondo::loop "
                      "or its remote()");
    else if constexpr (any_awaitable<given>)
        static_assert(
            is_meant<First>,
            "run_coroutine_threadsafe takes a task: await this in a coroutine, and pass that");
    else
        return refuse_start<First>();
    return {};
}

template <class... A>
inline constexpr bool leads_to_loop = false;
template <class L>
inline constexpr bool leads_to_loop<L> =
    std::is_convertible_v<L, const loop&> || std::is_convertible_v<L, const remote&>;

template <class... A>
inline constexpr bool is_one_task = false;
template <class A>
inline constexpr bool is_one_task<A> = is_task<std::decay_t<A>>::value;

}  // namespace detail

template <class... A>
    requires(!detail::is_one_task<A...>)
auto block_on(A&&...) {
    return detail::refuse_block_on<A...>();
}
template <class First, class... More>
    requires(!detail::is_one_task<First> || !detail::leads_to_loop<More...>)
auto run_coroutine_threadsafe(First&&, More&&...) {
    return detail::refuse_threadsafe<First, More...>();
}

}  // namespace v0
}  // namespace rondo
