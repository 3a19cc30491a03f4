// SPDX-License-Identifier: MIT
// The bridge: a coroutine whose only deed is to post.
#include <rondo/detail/coroutine/foreign.hpp>

#include "loop/loop_core.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

void cannot_leave(leaf_wait&) noexcept {}  // it is in somebody else's hands

constexpr wait_kind foreign_kind{"a foreign awaitable", cannot_leave, nullptr, true};

struct bridge_coroutine {
    struct promise_type {
        static void* operator new(std::size_t size) { return frame_allocate(size); }
        static void operator delete(void* frame, std::size_t size) noexcept {
            frame_free(frame, size);
        }
        bridge_coroutine get_return_object() noexcept {
            return {std::coroutine_handle<promise_type>::from_promise(*this)};
        }
        std::suspend_always initial_suspend() noexcept { return {}; }
        std::suspend_never final_suspend() noexcept { return {}; }  // frees itself, on whatever thread
        void return_void() noexcept {}
        [[noreturn]] void unhandled_exception() noexcept { fail("a bridge threw"); }
    };
    std::coroutine_handle<> handle;
};

/// On the loop's thread: the stranger has resumed the bridge.
void arrived(void* word) {
    auto& waiting = *static_cast<crossing*>(word);
    waiting.bridge_ = nullptr;
    wake(waiting);
}

// After the post the crossing belongs to the loop's thread; nothing of it is touched here any more.
bridge_coroutine make_bridge(crossing* waiting, remote home) {
    home.try_post(arrived, waiting);
    co_return;
}

}  // namespace

crossing::crossing() noexcept : leaf_wait(foreign_kind) {}

crossing::~crossing() {
    if (bridge_ != nullptr) std::coroutine_handle<>::from_address(bridge_).destroy();
}

std::coroutine_handle<> crossing::open() {
    const std::coroutine_handle<> handle = make_bridge(this, remote_of(*here.current->home)).handle;
    bridge_ = static_cast<bridge*>(handle.address());
    return handle;
}

void crossing::close() noexcept {
    std::coroutine_handle<>::from_address(std::exchange(bridge_, nullptr)).destroy();
    task->wait = nullptr;
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
