// SPDX-License-Identifier: MIT
// How coroutines are resumed: from one place only, with a flat stack.
//
// A coroutine never resumes another one. Whoever hands over (an await of a task, the end of one) puts the next handle
// into `here.next` and returns; the trampoline (runtime/coroutine/trampoline.hpp) goes on from there. Symmetric transfer would do
// the same where the compiler makes it a tail call, but g++ 12 does not at -O0, -O1 or under a sanitizer, and a loop of
// a million awaits then overflows the stack. The trampoline costs 2 ns an await and is flat in every build.
//
// Whoever becomes ready while something else runs is put into the ready queue: a FIFO of nodes that live in the frames,
// so making ready neither allocates nor throws.
#pragma once

#include <rondo/config.hpp>

#include <coroutine>
#include <cstddef>


namespace rondo {
inline namespace v0 {
namespace detail {

struct task_record;
struct scope;
class resumer;

/// What the ready queue holds: a task to be resumed at `point` or, where `point` is null, a callback_item.
struct ready_item {
    ready_item* next_ready;
    std::coroutine_handle<> point;
};

/// A function to be called by the loop. Its owner keeps it alive until `run` was called or it was taken back.
struct callback_item : ready_item {
    void (*run)(callback_item&) noexcept;
};

/// FIFO of ready items.
class ready_queue {
public:
    bool empty() const noexcept { return head_ == nullptr; }

    void push(ready_item& item) noexcept {
        item.next_ready = nullptr;
        if (head_ == nullptr)
            head_ = &item;
        else
            tail_->next_ready = &item;
        tail_ = &item;
    }

    ready_item& pop() noexcept {
        ready_item& item = *head_;
        head_ = item.next_ready;
        return item;
    }

    /// The one that is to be popped last, as it stands now.
    const ready_item& last() const noexcept { return *tail_; }

    ready_queue() noexcept = default;
    ready_queue(const ready_queue&) = delete;
    ready_queue& operator=(const ready_queue&) = delete;

private:
    ready_item* head_ = nullptr;
    ready_item* tail_ = nullptr;  // while head_ is not null
};

/// What the running coroutine and its resumer share; one for each thread.
struct thread_state {
    std::coroutine_handle<> next;      // the trampoline goes on here; set by whoever hands over
    task_record* ended = nullptr;      // a root frame that has just reached its end; settled by the trampoline
    task_record* current = nullptr;    // the running task
    resumer* turn = nullptr;           // the loop whose turn runs on this thread
    int patience = 0;                  // hand-overs and ready waits left before the task goes to the end of the queue
};

// initial-exec: one load to reach it, also from a shared library
extern RONDO_API constinit thread_local thread_state here [[gnu::tls_model("initial-exec")]];

/// The ready queue and the trampoline; every loop is one.
class RONDO_API resumer {
public:
    static constexpr int patience = 128;

    /// Makes `item` ready. Only on the loop's thread.
    void push(ready_item& item) noexcept {
        ready_.push(item);
        if (here.turn != this) [[unlikely]] host_wanted();
    }

    /// The scope that detached tasks hang below.
    scope& top() noexcept { return *top_; }

    void task_began() noexcept { ++tasks_; }
    void task_ended() noexcept { --tasks_; }
    std::size_t tasks() const noexcept { return tasks_; }

    resumer(const resumer&) = delete;
    resumer& operator=(const resumer&) = delete;

protected:
    explicit resumer(scope& top) noexcept : top_(&top) {}
    virtual ~resumer() = default;

    /// Something became ready, a deadline moved or an entry was made while no turn is running: the host is to call.
    virtual void host_wanted() noexcept = 0;

    /// Resumes a task, or calls a callback, and follows the hand-overs until nothing more is handed over.
    inline void resume(ready_item& item) noexcept;  // runtime/coroutine/trampoline.hpp

    ready_queue ready_;

private:
    scope* top_;
    std::size_t tasks_ = 0;
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
