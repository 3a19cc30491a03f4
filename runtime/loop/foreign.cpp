// SPDX-License-Identifier: MIT
// The proxy that a foreign awaitable resumes: a coroutine that posts its task to its loop.
#include <rondo/detail/coroutine/foreign.hpp>

#include "loop/loop_core.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

void cannot_cancel(leaf_wait&) noexcept {}  // the foreign side decides when the wait ends

constexpr wait_kind foreign_kind{"a foreign awaitable", cannot_cancel, nullptr, true};

struct proxy_coroutine {
    struct promise_type {
        static void* operator new(std::size_t size) { return frame_allocate(size); }
        static void operator delete(void* frame, std::size_t size) noexcept {
            frame_free(frame, size);
        }
        proxy_coroutine get_return_object() noexcept {
            return {std::coroutine_handle<promise_type>::from_promise(*this)};
        }
        std::suspend_always initial_suspend() noexcept { return {}; }
        // Destroys the frame, on the thread that resumed it.
        std::suspend_never final_suspend() noexcept { return {}; }
        void return_void() noexcept {}
        [[noreturn]] void unhandled_exception() noexcept {
            fail("posting a task that awaits a foreign awaitable threw");
        }
    };
    std::coroutine_handle<> handle;
};

/// Runs on the loop's thread after the proxy was resumed.
void wake_waiter(void* word) {
    auto& waiting = *static_cast<foreign_wait*>(word);
    waiting.proxy_ = nullptr;
    wake(waiting);
}

// After the post the wait belongs to the loop's thread and must not be touched here.
proxy_coroutine make_proxy(foreign_wait* waiting, remote home) {
    home.try_post(wake_waiter, waiting);
    co_return;
}

}  // namespace

foreign_wait::foreign_wait() noexcept : leaf_wait(foreign_kind) {}

foreign_wait::~foreign_wait() {
    if (proxy_ != nullptr) std::coroutine_handle<>::from_address(proxy_).destroy();
}

std::coroutine_handle<> foreign_wait::open() {
    const std::coroutine_handle<> handle = make_proxy(this, remote_of(*here.current->home)).handle;
    proxy_ = static_cast<proxy*>(handle.address());
    return handle;
}

void foreign_wait::close() noexcept {
    std::coroutine_handle<>::from_address(std::exchange(proxy_, nullptr)).destroy();
    task->wait = nullptr;
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
