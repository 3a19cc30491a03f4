// SPDX-License-Identifier: MIT
// The event loop: it owns the tasks, the timers and the ring, and runs turns. docs/loop.md numbers what one turn does,
// in the order of runtime/loop/loop.cpp.
//
// A loop belongs to the thread that runs it. From other threads: `call_soon_threadsafe`, or a `remote()`, which outlives
// the loop. Inside somebody else's loop: watch `fd()` for reading and call `poll()` when it is; there is no timeout to
// ask for and no second contract.
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

namespace rondo {
inline namespace v0 {

namespace detail {
class kernel;
class loop_core;
class inbox;
struct scheduled_call;

/// A post whose place was made beforehand, in an object of the poster's own: posting it neither allocates nor fails. It
/// is in the inbox at most once at a time, and lives until it was run.
struct preallocated_post {
    void (*run)(void*) noexcept;
    void* word;
    preallocated_post* next = nullptr;
};
using preallocated_posts = intrusive_fifo<preallocated_post, &preallocated_post::next>;
}  // namespace detail

class thread_pool;

/// How a loop is made.
struct loop_options {
    unsigned entries = 256;        ///< of the submission queue; fewer where the system does not grant them
    unsigned completions = 4096;   ///< of the completion queue
    detail::time_limit timer_slack = std::chrono::microseconds(64);  ///< deadlines this near share a wake-up; never early
    detail::time_limit leave_warning = std::chrono::seconds(5);      ///< leaving takes longer: print who waits where
    unsigned receive_buffers = 256;            ///< for reads by views: so many, made with the first such read ...
    unsigned receive_buffer_size = 16 * 1024;  ///< ... of so many bytes
    detail::time_limit foreign_grace = std::chrono::seconds(1);      ///< leaving waits this long for foreign awaitables
};
static_assert(std::is_trivially_destructible_v<loop_options>);

/// What an exception handler is told.
struct exception_context {
    std::string message;       ///< one sentence: which task or callback, where it was created
    std::exception_ptr error;  ///< may be null
    bool routine = false;      ///< no news, such as a peer's reset: not written by default
};

/// What a loop has done and holds.
struct loop_stats {
    std::size_t tasks = 0;          ///< not yet ended
    std::size_t frames = 0;         ///< coroutine frames of this thread
    std::size_t operations = 0;     ///< in flight, or waiting for a slot
    std::size_t timers = 0;         ///< set
    std::uint64_t turns = 0;
    std::uint64_t entries = 0;      ///< submitted
    std::uint64_t completions = 0;  ///< received
    std::uint64_t enters = 0;       ///< system calls for submitting and waiting
    std::uint64_t posts = 0;        ///< callbacks that came from `remote` handles
};

/// A callback that was scheduled; may be dropped.
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

    /// It is not called any more; nothing happens where it was called already.
    void cancel() noexcept;
    bool cancelled() const noexcept;
    /// When it is due.
    time_point when() const noexcept;

private:
    detail::scheduled_call* call_ = nullptr;
};

/// A way into a loop from any thread; copyable, and outlives the loop.
class RONDO_API remote {
public:
    /// Has `fn` called in a turn of the loop, after what was posted before.
    /// Throws: closed_error where the loop has ended; std::bad_alloc.
    /// Thread: any.
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

    /// The lowest form: `run(word)` in a turn of the loop. Where the loop has ended, `drop(word)` and closed_error.
    void post(void (*run)(void*), void (*drop)(void*), void* word) const;
    /// The same without an exception: false where the loop has ended.
    bool try_post(void (*run)(void*), void* word) const noexcept;
    bool try_post(detail::preallocated_post& post) const noexcept;

    /// Two are equal that lead to the same loop.
    bool operator==(const remote& other) const noexcept { return inbox_ == other.inbox_; }
    /// Names the loop, for comparing.
    const void* identity() const noexcept { return inbox_.get(); }

    explicit remote(std::shared_ptr<detail::inbox> inbox) noexcept : inbox_(std::move(inbox)) {}

private:
    template <class F>
    static void call(F& fn) {
        fn();
    }
    /// A small callable that came in a word. A union, since it need not have a default constructor.
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
/// Thread: the one that runs it, but for `call_soon_threadsafe` and what `remote()` gives.
/// See:    asyncio's event loop. Programs seldom make one: `run` (run.hpp) does.
class RONDO_API loop {
public:
    /// Throws: uring_unavailable where the system does not offer io_uring, with the reason and what to do about it.
    explicit loop(loop_options options = {});
    /// On a kernel of one's own: the simulator.
    explicit loop(std::shared_ptr<detail::kernel> kernel, loop_options options = {});
    /// Cancels what is left, waits for it, runs the shutdown hooks, and only then frees. On the
    /// thread that ran it. Callbacks of call_soon and call_later that are still to come are
    /// dropped, not called: what they refer to may be gone.
    ~loop();
    loop(const loop&) = delete;
    loop& operator=(const loop&) = delete;

    // -- running --------------------------------------------------------------------------------------------------
    // Throws, all of these: invalid_state_error where a loop already runs on this thread or this one is closed;
    // deadlock_error on the simulator when nothing can ever happen again.

    /// Turns until no task is left. Callbacks that are still to come do not keep it.
    void run();
    /// Turns until `t` has ended; other tasks stay. Gives its value or throws its error; `future_cancelled` where it was
    /// cancelled.
    template <class T>
    T run_until_complete(task<T> t, detail::location where = detail::location::current()) {
        check_usable();  // before it is started: a task that is refused is dropped
        return run_until_complete(create_task(std::move(t), {}, where));
    }
    /// Throws: also invalid_state_error if `f` belongs to another loop. The value is copied if
    /// other handles look at it.
    template <class T>
    T run_until_complete(future<T> f) {
        run_until_done(f);
        return detail::take_result(std::move(f));
    }
    /// Turns until `stop()`.
    void run_forever();
    /// Ends the run that is going on, after the task or callback that calls it; the rest stays
    /// ready. If none is going on, the next run, run_forever or run_until_complete ends after one
    /// turn. From another thread: `call_soon_threadsafe([&] { loop.stop(); })`.
    void stop() noexcept;
    /// One turn, which waits at most `timeout` for something to become ready where nothing is. True where something was
    /// done.
    bool run_once(detail::time_limit timeout = duration::zero());
    /// Ends the loop before its destructor does: cancels what is left, waits for it, runs the shutdown hooks. It cannot
    /// be used afterwards.
    /// Throws: invalid_state_error from inside its own run.
    void close();

    bool is_running() const noexcept;
    bool is_closed() const noexcept;

    // -- embedding ------------------------------------------------------------------------------------------------
    /// An eventfd that is readable whenever poll() would do something. It belongs to the loop.
    /// Throws: std::system_error where the kernel behind the loop has none (the simulator).
    int fd();
    /// Runs what is ready, never waits. It stops after `budget`, but not before something was done,
    /// and fd() is readable again if something is left.
    void poll(detail::time_limit budget = duration::max());

    // -- descriptors of other libraries ---------------------------------------------------------------------------
    /// Calls `fn` in a turn whenever reading `fd` would not block, again and again as long as that is so; one callback
    /// for each direction, a new one takes the place of the old. `fd` stays its owner's. A regular file is always ready.
    /// Throws: std::system_error where it is not open; closed_error; std::bad_alloc. What `fn` throws goes to the
    ///         exception handler.
    /// Thread: the loop's, in a turn or outside of one. See: asyncio loop.add_reader; wait_readable for tasks.
    void add_reader(int fd, detail::function<void()> fn);
    /// The same with writing.
    void add_writer(int fd, detail::function<void()> fn);
    /// No more. When it returns the kernel has let go of `fd`, which may be closed: the peer sees it at once.
    /// Returns: was there one?
    bool remove_reader(int fd) noexcept;
    bool remove_writer(int fd) noexcept;

    // -- tasks and callbacks --------------------------------------------------------------------------------------
    /// As rondo::create_task, also while the loop does not run.
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
    /// A promise of this loop, also while it does not run.
    template <class T>
    promise<T> create_promise() {
        return promise<T>(home());
    }

    /// Calls `fn` in the next turn, after what was scheduled before. What it throws goes to the
    /// exception handler. close(), and the end of `run`, still call it; the loop's destructor does
    /// not.
    call_handle call_soon(detail::function<void()> fn);
    template <class F, class... Args>
        requires(sizeof...(Args) > 0 || !std::is_invocable_v<std::decay_t<F>&>)
    auto call_soon(F&&, Args&&...) {
        if constexpr (detail::awaitable<std::decay_t<F>>)
            static_assert(detail::is_meant<F>, "call_soon takes a plain function: a task is started by create_task");
        else
            static_assert(detail::is_meant<F>,
                          "call_soon takes a function without arguments: put them into a lambda");
    }
    /// Calls it when `delay` has passed, never early.
    call_handle call_later(detail::time_limit delay, detail::function<void()> fn);
    /// Calls it at `when`; callbacks of the same time in the order of these calls.
    call_handle call_at(time_point when, detail::function<void()> fn);
    /// As call_soon, from any thread. See `remote` for after the loop's end.
    template <class F>
    void call_soon_threadsafe(F fn) {
        remote().call_soon_threadsafe(std::move(fn));
    }
    /// A handle for other threads.
    rondo::remote remote() const noexcept;

    /// Every task that has not ended, in the order of the tree of scopes.
    std::vector<task_handle> all_tasks() const;
    /// The loop's clock.
    time_point time() const noexcept;
    loop_stats stats() const noexcept;

    /// Gets every error that nobody else has seen. By default they are written to stderr, each in
    /// one write; at most 20 in a second, and then how many more there were. If the handler throws,
    /// both errors are written.
    void set_exception_handler(detail::function<void(const exception_context&)> handler);
    /// Tells it of an error of one's own.
    void call_exception_handler(const exception_context& context) noexcept;

    /// The pool that to_thread uses from now on; it belongs to the loop and ends with it. What the one before was given it
    /// still runs. In executor.hpp, with what else there is.
    /// See: asyncio loop.set_default_executor.
    void set_default_executor(thread_pool pool);

    /// `hook` is called when the loop ends, after its tasks; the last one added first. Executors join their threads so.
    void at_shutdown(detail::function<void()> hook);

    /// For those who extend the loop: an object of theirs that lives as long as it does, found by `key`, the address of
    /// something of theirs; empty at first. It goes after the shutdown hooks. The reference is good until the next call.
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

/// Every task of the running loop that has not ended.
/// Throws: no_running_loop_error.
/// See:    asyncio.all_tasks.
RONDO_API std::vector<task_handle> all_tasks();

// -- for those who write awaitables ---------------------------------------------------------------------------------
namespace detail {

/// The clock of a loop.
RONDO_API time_point now(resumer& home) noexcept;
/// `node.expire` is called when `when` has come, on the loop's thread. A node that is set already is moved.
RONDO_API void set_timer(resumer& home, timer_node& node, time_point when);
RONDO_API void cancel_timer(resumer& home, timer_node& node) noexcept;
/// The randomness of a loop: on the simulator it comes from the seed.
RONDO_API std::uint64_t random(resumer& home) noexcept;
/// Where the kernel behind the loop runs jobs itself (the simulator), it takes this one and returns true.
RONDO_API bool run_elsewhere(resumer& home, void (*run)(void*), void* argument) noexcept;
RONDO_API remote remote_of(resumer& home) noexcept;
/// What an exception handler does by default: one line on stderr, in one write.
RONDO_API void write_report(const exception_context& context);

}  // namespace detail
}  // namespace v0
}  // namespace rondo
