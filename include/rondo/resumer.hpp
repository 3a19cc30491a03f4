// SPDX-License-Identifier: MIT
// Resuming coroutines: from one place only, with a flat stack (law 7).
//
// A coroutine never resumes another one. To transfer control (at an await of a task, or at its
// end), a coroutine stores the next handle in `here.next` and returns. The trampoline
// (runtime/coroutine/trampoline.hpp) resumes that handle. Symmetric transfer would do the same if
// the compiler made it a tail call. g++ 12 does not at -O0, -O1 or under a sanitizer, and then a
// million awaits in a loop overflow the stack. The trampoline costs 2 ns per await and keeps the
// stack flat in every build.
//
// A task that becomes ready while another one runs is put into the ready queue: a FIFO of nodes
// that live in the frames, so that waking neither allocates nor throws.
#pragma once

#include <rondo/config.hpp>

#include <coroutine>
#include <cstddef>

#include <rondo/detail/base/intrusive_list.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

struct task_record;
struct scope;
class resumer;

/// A node of the ready queue: a task to resume at `point`, or a callback_item if `point` is null.
struct ready_item {
    ready_item* next_ready;
    std::coroutine_handle<> point;
};

/// A function for the loop to call. Its owner keeps it alive until `run` was called or it was taken
/// back.
struct callback_item : ready_item {
    void (*run)(callback_item&) noexcept;
};

/// FIFO of ready items.
using ready_queue = intrusive_fifo<ready_item, &ready_item::next_ready>;

/// State that the running coroutine and its resumer share; one per thread.
struct thread_state {
    std::coroutine_handle<> next;    // set by a coroutine for the trampoline to resume
    task_record* ended = nullptr;    // a root frame that has just ended; the trampoline finishes it
    task_record* current = nullptr;  // the running task
    resumer* turn = nullptr;         // the loop whose turn runs on this thread
    int budget = 0;  // transfers and ready waits left before the task goes to the end of the queue
};

// initial-exec: takes one load, also from a shared library.
extern RONDO_API constinit thread_local thread_state here [[gnu::tls_model("initial-exec")]];

/// The ready queue and the trampoline; every loop is one.
class RONDO_API resumer {
public:
    static constexpr int budget = 128;

    /// Puts `item` into the ready queue. Only on the loop's thread.
    void push(ready_item& item) noexcept {
        ready_.append(item);
        if (here.turn != this) [[unlikely]]
            host_wanted();
    }

    /// The parent scope of detached tasks.
    scope& top() noexcept { return *top_; }

    void task_began() noexcept { ++tasks_; }
    void task_ended() noexcept { --tasks_; }
    std::size_t tasks() const noexcept { return tasks_; }

    resumer(const resumer&) = delete;
    resumer& operator=(const resumer&) = delete;

protected:
    explicit resumer(scope& top) noexcept : top_(&top) {}
    virtual ~resumer() = default;

    /// Tells the host loop to call `poll`: something became ready, a deadline moved or an entry was
    /// made while no turn is running.
    virtual void host_wanted() noexcept = 0;

    /// Resumes a task and every coroutine that it transfers control to; or calls a callback.
    inline void resume(ready_item& item) noexcept;  // runtime/coroutine/trampoline.hpp

    ready_queue ready_;

private:
    scope* top_;
    std::size_t tasks_ = 0;
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
