// SPDX-License-Identifier: MIT
// Awaiting what is not ours.
//
// A foreign awaitable gets the handle of a small coroutine of ours, a bridge, not that of the task. Whoever resumes the
// bridge, on whatever thread, in whatever stack, only posts the real task to its loop. So a task is resumed by its loop
// alone, and a foreign resume inside await_suspend, from another thread or long after is all the same to us.
//
// What we cannot do is take such a wait back: a cancellation reaches the task at its next wait of ours. A task that is
// suspended here when its loop ends is named, its frames are destroyed last, and the bridge with them: whoever holds
// the handle must not resume it after that.
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

/// The other side of a bridge: how its task becomes ready again.
struct RONDO_API crossing : leaf_wait {
    crossing() noexcept;
    ~crossing();

    std::coroutine_handle<> open();  // makes the bridge; its handle is what a stranger may resume
    void close() noexcept;           // the stranger said "go on" after all: takes the bridge down

    struct bridge;
    bridge* bridge_ = nullptr;
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
class foreign_awaiter : crossing {
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
            hand_over(handle, frame);
        } catch (...) {
            close();  // the standard's rule: who throws here has not suspended
            throw;
        }
    }

    decltype(auto) await_resume() { return inner_.await_resume(); }

private:
    void hand_over(std::coroutine_handle<> handle, std::coroutine_handle<> frame) {
        using returned = decltype(inner_.await_suspend(handle));
        if constexpr (std::is_void_v<returned>) {
            inner_.await_suspend(handle);
        } else if constexpr (std::is_same_v<returned, bool>) {
            if (!inner_.await_suspend(handle)) go_on(frame);
        } else {
            const std::coroutine_handle<> other = inner_.await_suspend(handle);
            if (other == handle)
                go_on(frame);
            else
                run_next(other);
        }
    }

    // It is no part of the task, which is suspended: it must run now, and not when the task's turn comes again.
    static void run_next(std::coroutine_handle<> other) noexcept {
        here.next = other;
        here.patience = resumer::patience;
    }

    void go_on(std::coroutine_handle<> frame) noexcept {
        close();
        here.next = frame;
    }

    inner_type inner_;
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
