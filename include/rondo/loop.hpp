// SPDX-License-Identifier: MIT
// The event loop: it owns the tasks, the timers and the ring, and runs turns. docs/loop.md numbers
// the steps of one turn, in the order of runtime/loop/loop.cpp.
//
// A loop belongs to the thread that runs it. Other threads use `call_soon_threadsafe`, or a
// `remote()`, which outlives the loop. Inside another library's loop: watch `fd()` for reading and
// call `poll()` when it is readable; there is no timeout to ask for and no second contract.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <rondo/detail/base/function.hpp>
#include <rondo/detail/base/intrusive_list.hpp>
#include <rondo/detail/base/timer_node.hpp>
#include <rondo/future.hpp>
#include <rondo/kernel_choice.hpp>

namespace rondo {
inline namespace v0 {

namespace detail {
class kernel;
class loop_core;
class inbox;
struct scheduled_call;

/// A post that lives in an object of the poster's: posting it neither allocates nor fails. It is in
/// the inbox at most once at a time, and must live until it was run.
struct preallocated_post {
    void (*run)(void*) noexcept;
    void* word;
    preallocated_post* next = nullptr;
};
using preallocated_posts = intrusive_fifo<preallocated_post, &preallocated_post::next>;
}  // namespace detail

class thread_pool;

/// Options of a loop.
struct loop_options {
    /// Size of the submission queue; smaller if the system does not grant as many entries.
    unsigned entries = 256;
    /// Size of the completion queue. It is at least as long as the submission queue.
    unsigned completions = 4096;
    /// Deadlines within this span share a wake-up. A timer is late by at most this, and never
    /// early.
    detail::time_limit timer_slack = std::chrono::microseconds(64);
    /// If leaving the loop takes longer, it prints which task waits where.
    detail::time_limit leave_warning = std::chrono::seconds(5);
    /// Number of buffers for reads by views; allocated with the first such read.
    unsigned receive_buffers = 256;
    /// Size of each of them in bytes.
    unsigned receive_buffer_size = 16 * 1024;
    /// Leaving the loop waits this long for tasks in foreign awaitables.
    detail::time_limit foreign_grace = std::chrono::seconds(1);
    /// How the loop reaches the operating system.
    kernel_choice kernel = kernel_choice::automatic;
    /// Whether a loop that falls back from io_uring to readiness does so without a line on standard
    /// error. RONDO_KERNEL_QUIET=1 in the environment does the same for all loops.
    bool quiet_fallback = false;
};
static_assert(std::is_trivially_destructible_v<loop_options>);

/// Argument of an exception handler.
struct exception_context {
    std::string message;       ///< one sentence: which task or callback, where it was created
    std::exception_ptr error;  ///< may be null
    bool routine = false;      ///< expected, such as a reset by the peer: not written by default
};

/// Counters of a loop.
struct loop_stats {
    std::size_t tasks = 0;          ///< that have not ended
    std::size_t frames = 0;         ///< coroutine frames of this thread
    std::size_t operations = 0;     ///< in flight, or waiting for a submission entry
    std::size_t timers = 0;         ///< that are set
    std::uint64_t turns = 0;        ///< run
    std::uint64_t entries = 0;      ///< submitted
    std::uint64_t completions = 0;  ///< received
    std::uint64_t enters = 0;       ///< system calls that submit and wait
    std::uint64_t posts = 0;        ///< callbacks posted through `remote` handles
    const char* kernel = "";        ///< "ring", "readiness" or "simulator"
};

/// Handle of a scheduled callback; may be dropped without effect on the callback.
/// See: asyncio Handle, TimerHandle.
class RONDO_API call_handle {
public:
    call_handle() noexcept = default;
    explicit call_handle(detail::scheduled_call* call) noexcept;
    call_handle(const call_handle& other) noexcept;
    call_handle(call_handle&& other) noexcept : call_(std::exchange(other.call_, nullptr)) {}
    call_handle& operator=(call_handle other) noexcept {
        std::swap(call_, other.call_);
        return *this;
    }
    ~call_handle();

    /// Cancels the callback. Does nothing if it was called already.
    void cancel() noexcept;
    bool cancelled() const noexcept;
    /// The time at which it is due.
    time_point when() const noexcept;

private:
    detail::scheduled_call* call_ = nullptr;
};

/// A handle for posting callbacks to a loop from any thread. Copyable; may outlive the loop.
class RONDO_API remote {
public:
    /// Calls `fn` in a turn of the loop, after callbacks that were posted earlier.
    /// Throws: closed_error if the loop has ended; std::bad_alloc. Exceptions of `fn` go to the
    ///         loop's exception handler.
    /// Thread: any.
    /// See:    asyncio loop.call_soon_threadsafe.
    template <class F>
    void call_soon_threadsafe(F fn) const {
        if constexpr (sizeof(F) <= sizeof(void*) && std::is_trivially_copyable_v<F> &&
                      std::is_trivially_destructible_v<F>) {
            void* word = nullptr;
            __builtin_memcpy(&word, &fn, sizeof(F));
            post(
                [](void* w) {
                    copy_in_word<F> copy(w);
                    call(copy.fn);
                },
                nullptr, word);
        } else {
            auto* copy = new F(std::move(fn));
            post([](void* w) { call(*std::unique_ptr<F>(static_cast<F*>(w))); },
                 [](void* w) { delete static_cast<F*>(w); }, copy);
        }
    }

    /// Lowest level: calls `run(word)` in a turn of the loop. If the loop has ended, calls
    /// `drop(word)` and throws closed_error.
    void post(void (*run)(void*), void (*drop)(void*), void* word) const;
    /// As post, but returns false if the loop has ended instead of throwing.
    bool try_post(void (*run)(void*), void* word) const noexcept;
    bool try_post(detail::preallocated_post& post) const noexcept;

    /// True if both lead to the same loop.
    bool operator==(const remote& other) const noexcept { return inbox_ == other.inbox_; }
    /// An address that identifies the loop, for comparisons.
    const void* identity() const noexcept { return inbox_.get(); }

    explicit remote(std::shared_ptr<detail::inbox> inbox) noexcept : inbox_(std::move(inbox)) {}

private:
    template <class F>
    static void call(F& fn) {
        fn();
    }
    /// A small callable that was passed in a word. A union, since it need not have a default
    /// constructor.
    template <class F>
    union copy_in_word {
        explicit copy_in_word(void* word) noexcept {
            __builtin_memcpy(static_cast<void*>(&fn), &word, sizeof(F));
        }
        F fn;
    };
    detail::handle_pointer<std::shared_ptr<detail::inbox>> inbox_;
};

/// An event loop.
/// Thread: the one that runs it, except for `call_soon_threadsafe` and handles from `remote()`.
/// See:    asyncio's event loop. Programs seldom make one: `run` (run.hpp) does.
class RONDO_API loop {
public:
    /// Throws: uring_unavailable if the ring was asked for by name and the system does not offer
    ///         io_uring, with the reason and the remedy; std::invalid_argument if an option or
    ///         RONDO_KERNEL has a value that rondo does not know; std::system_error.
    explicit loop(loop_options options = {});
    /// A loop on a given kernel, such as the simulator.
    explicit loop(std::shared_ptr<detail::kernel> kernel, loop_options options = {});
    /// Cancels the remaining tasks, waits until they have ended, runs the shutdown hooks, and frees
    /// the loop last. Must run on the thread that ran the loop. Callbacks of call_soon and
    /// call_later that are still pending are dropped, not called: objects that they refer to may be
    /// gone.
    ~loop();
    loop(const loop&) = delete;
    loop& operator=(const loop&) = delete;

    // -- running ---------------------------------------------------------------------------------
    // All of these throw invalid_state_error if a loop already runs on this thread or this loop is
    // closed, and on the simulator deadlock_error if every task waits and nothing can wake one.

    /// Runs turns until no task is left. Pending callbacks do not keep the loop running.
    void run();
    /// Runs turns until `t` has ended; other tasks stay. Returns its value or throws its error;
    /// future_cancelled if it was cancelled.
    /// See: asyncio loop.run_until_complete.
    template <class T>
    T run_until_complete(task<T> t, detail::location where = detail::location::current()) {
        check_usable();  // before it is started: a task that is refused is dropped
        return run_until_complete(create_task(std::move(t), {}, where));
    }
    /// The same for a future. The value is copied if other handles refer to it.
    /// Throws: also invalid_state_error if `f` belongs to another loop.
    template <class T>
    T run_until_complete(future<T> f) {
        run_until_done(f);
        return detail::take_result(std::move(f));
    }
    /// Runs turns until `stop()`.
    void run_forever();
    /// Ends the current run after the task or callback that calls this; other ready tasks stay
    /// ready. If the loop is not running, the next run, run_forever or run_until_complete ends
    /// after one turn. From another thread: `call_soon_threadsafe([&] { loop.stop(); })`.
    void stop() noexcept;
    /// Runs one turn. If nothing is ready, it waits up to `timeout` for something to become ready.
    /// Returns: true if a task or callback ran.
    bool run_once(detail::time_limit timeout = duration::zero());
    /// Ends the loop before its destructor does: cancels the remaining tasks, waits for them, runs
    /// the shutdown hooks. The loop cannot be used afterwards.
    /// Throws: invalid_state_error inside its own run.
    void close();

    bool is_running() const noexcept;
    bool is_closed() const noexcept;

    // -- embedding -------------------------------------------------------------------------------
    /// An eventfd that is readable whenever poll() would do something. It belongs to the loop.
    /// Throws: std::system_error if the kernel of the loop has none (the simulator).
    int fd();
    /// Runs what is ready, and never waits. It stops after `budget`, but not before something was
    /// done; fd() is then readable again if something is left.
    void poll(detail::time_limit budget = duration::max());

    // -- descriptors of other libraries ----------------------------------------------------------
    /// Calls `fn` in a turn whenever reading `fd` would not block, repeatedly as long as that
    /// holds. Each direction of a descriptor has one callback; a new one replaces it. The caller
    /// keeps owning `fd`. A regular file is always ready.
    /// Throws: std::system_error if `fd` is not open; closed_error; std::bad_alloc. Exceptions of
    ///         `fn` go to the exception handler.
    /// Thread: the loop's, in a turn or outside of one.
    /// See:    asyncio loop.add_reader; wait_readable for tasks.
    void add_reader(int fd, detail::function<void()> fn);
    /// The same for writing.
    void add_writer(int fd, detail::function<void()> fn);
    /// Removes the callback. When this returns, the kernel holds `fd` no longer: closing it takes
    /// effect for the peer at once.
    /// Returns: true if there was one.
    bool remove_reader(int fd) noexcept;
    bool remove_writer(int fd) noexcept;

    // -- tasks and callbacks ---------------------------------------------------------------------
    /// As rondo::create_task, on this loop, which need not be running.
    template <class T>
    future<T> create_task(task<T> t, task_options options = {},
                          detail::location where = detail::location::current()) {
        return detail::create_in(home(), std::move(t), options, where);
    }
    template <class T>
    future<T> create_task(detail::guarded_task<T> t, task_options options = {},
                          detail::location where = detail::location::current()) {
        return create_task(task<T>(std::move(t)), options, where);
    }
    template <detail::native_awaitable A>
        requires(!std::is_base_of_v<task_handle, A>)
    auto create_task(A awaitable, task_options options = {},
                     detail::location where = detail::location::current()) {
        return create_task(detail::as_task(std::move(awaitable)), options, where);
    }
    /// A promise of this loop, which need not be running.
    /// See: asyncio loop.create_future.
    template <class T>
    promise<T> create_promise() {
        return promise<T>(home());
    }

    /// Calls `fn` in the next turn, after callbacks that were scheduled earlier. close(), and the
    /// end of `run`, still call it; the loop's destructor does not.
    /// Throws: closed_error; std::bad_alloc. Exceptions of `fn` go to the exception handler.
    /// See:    asyncio loop.call_soon.
    call_handle call_soon(detail::function<void()> fn);
    template <class F, class... Args>
        requires(sizeof...(Args) > 0 || !std::is_invocable_v<std::decay_t<F>&>)
    auto call_soon(F&&, Args&&...) {
        if constexpr (detail::awaitable<std::decay_t<F>>)
            static_assert(detail::is_meant<F>,
                          "call_soon takes a plain function: a task is started by create_task");
        else
            static_assert(detail::is_meant<F>,
                          "call_soon takes a function without arguments: put them into a lambda");
    }
    /// Calls `fn` after `delay`, never early.
    /// See: asyncio loop.call_later.
    call_handle call_later(detail::time_limit delay, detail::function<void()> fn);
    /// Calls `fn` at `when`. Callbacks with the same time run in the order in which they were made.
    /// See: asyncio loop.call_at.
    call_handle call_at(time_point when, detail::function<void()> fn);
    /// As call_soon, from any thread while the loop exists. A `remote` may outlive the loop.
    template <class F>
    void call_soon_threadsafe(F fn) {
        remote().call_soon_threadsafe(std::move(fn));
    }
    /// A handle through which other threads post callbacks.
    rondo::remote remote() const noexcept;

    /// All tasks that have not ended, in the order of the tree of scopes.
    std::vector<task_handle> all_tasks() const;
    /// The loop's clock.
    time_point time() const noexcept;
    loop_stats stats() const noexcept;

    /// Sets the function that gets every error that was not retrieved. By default each is written
    /// to stderr in one write, at most 20 in a second, followed by the number of those left out. If
    /// the handler throws, both errors are written.
    /// See: asyncio loop.set_exception_handler.
    void set_exception_handler(detail::function<void(const exception_context&)> handler);
    /// Passes an error to the exception handler.
    void call_exception_handler(const exception_context& context) noexcept;

    /// Sets the pool that to_thread uses from now on. The pool belongs to the loop and ends with
    /// it; a previous pool still runs the jobs that it has. Defined in executor.hpp.
    /// See: asyncio loop.set_default_executor.
    void set_default_executor(thread_pool pool);

    /// Calls `hook` when the loop ends, after its tasks have ended. The hook added last runs first.
    /// Executors join their threads in such a hook.
    void at_shutdown(detail::function<void()> hook);

    /// A slot for an object that extends the loop and lives as long as it; empty at first. `key` is
    /// the address of a variable of the extension. The object is destroyed after the shutdown
    /// hooks. The reference is valid until the next call.
    std::shared_ptr<void>& extension(const void* key);

    detail::loop_core& core() const noexcept { return *core_; }

private:
    void check_usable() const;
    void run_until_done(const task_handle& task);
    detail::resumer& home() const;

    std::unique_ptr<detail::loop_core> core_;
};

/// The loop whose turn runs on this thread.
/// Throws: no_running_loop_error.
RONDO_API loop& running_loop();

/// All tasks of the running loop that have not ended.
/// Throws: no_running_loop_error.
/// See:    asyncio.all_tasks.
RONDO_API std::vector<task_handle> all_tasks();

// -- for authors of awaitables
// ------------------------------------------------------------------------
namespace detail {

/// The time by the loop's clock.
RONDO_API time_point now(resumer& home) noexcept;
/// Calls `node.expire` at `when`, on the loop's thread. A node that is set already is moved.
RONDO_API void set_timer(resumer& home, timer_node& node, time_point when);
RONDO_API void cancel_timer(resumer& home, timer_node& node) noexcept;
/// A random number of the loop; on the simulator it comes from the seed.
RONDO_API std::uint64_t random(resumer& home) noexcept;
/// If the kernel of the loop runs jobs itself (the simulator), hands it this one and returns true.
RONDO_API bool run_elsewhere(resumer& home, void (*run)(void*), void* argument) noexcept;
RONDO_API remote remote_of(resumer& home) noexcept;
/// Default exception handler: writes one line to stderr, in one write.
RONDO_API void write_report(const exception_context& context);

}  // namespace detail
}  // namespace v0
}  // namespace rondo
