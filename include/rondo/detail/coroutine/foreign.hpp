// SPDX-License-Identifier: MIT
// Awaiting foreign awaitables: types of other libraries.
//
// A foreign awaitable gets the handle of a proxy, a small coroutine of rondo's, not the handle of
// the task. Resuming the proxy, from any thread and any stack, only posts the task to its loop. So
// a task is resumed by its loop alone. It makes no difference whether the foreign side resumes
// inside await_suspend, from another thread or much later.
//
// Such a wait cannot be cancelled: a cancellation reaches the task at its next wait of rondo's. If
// a task is still suspended here when its loop ends, the loop prints its name and destroys its
// frames last, and the proxy with them. The foreign side must not resume the handle after that.
#pragma once

#include <rondo/config.hpp>

#include <coroutine>
#include <memory>
#include <type_traits>
#include <utility>

#include <rondo/task.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

/// The wait of a task for a foreign awaitable. It owns the proxy.
struct RONDO_API foreign_wait : leaf_wait {
    foreign_wait() noexcept;
    ~foreign_wait();

    std::coroutine_handle<> open();  // creates the proxy; its handle may be resumed once
    void close() noexcept;           // destroys the proxy, if the foreign side did not suspend

    struct proxy;
    proxy* proxy_ = nullptr;
};

template <class A>
decltype(auto) foreign_awaiter_of(A&& awaitable) {
    if constexpr (requires { std::forward<A>(awaitable).operator co_await(); })
        return std::forward<A>(awaitable).operator co_await();
    else if constexpr (requires { operator co_await(std::forward<A>(awaitable)); })
        return operator co_await(std::forward<A>(awaitable));
    else
        return static_cast<A&&>(awaitable);
}

template <class A>
class foreign_awaiter : foreign_wait {
    using inner_type = decltype(foreign_awaiter_of(std::declval<A>()));

public:
    explicit foreign_awaiter(A&& awaitable)
        : inner_(foreign_awaiter_of(std::forward<A>(awaitable))) {}
    foreign_awaiter(const foreign_awaiter&) = delete;

    bool await_ready() { return inner_.await_ready(); }

    void await_suspend(std::coroutine_handle<> frame, location at = location::current()) {
        const std::coroutine_handle<> handle = open();
        park(*this, frame, at);
        try {
            suspend_inner(handle, frame);
        } catch (...) {
            close();  // by the standard, a coroutine whose await_suspend throws is not suspended
            throw;
        }
    }

    decltype(auto) await_resume() { return inner_.await_resume(); }

private:
    void suspend_inner(std::coroutine_handle<> handle, std::coroutine_handle<> frame) {
        using returned = decltype(inner_.await_suspend(handle));
        if constexpr (std::is_void_v<returned>) {
            inner_.await_suspend(handle);
        } else if constexpr (std::is_same_v<returned, bool>) {
            if (!inner_.await_suspend(handle)) resume_self(frame);
        } else {
            const std::coroutine_handle<> other = inner_.await_suspend(handle);
            if (other == handle)
                resume_self(frame);
            else
                run_next(other);
        }
    }

    // The other coroutine is no part of this task, which is suspended: it must run now, even if the
    // task's budget is spent.
    static void run_next(std::coroutine_handle<> other) noexcept {
        here.next = other;
        here.budget = resumer::budget;
    }

    void resume_self(std::coroutine_handle<> frame) noexcept {
        close();
        here.next = frame;
    }

    inner_type inner_;
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
