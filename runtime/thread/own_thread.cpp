// SPDX-License-Identifier: MIT
// Identifies the calling thread, and announces the waits that block it.
#include "thread/own_thread.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

thread_host*& thread_host::of_this_thread() noexcept {
    static thread_local thread_host* host = nullptr;
    return host;
}

bool this_thread_belongs_to(const void* identity) noexcept {
    const thread_host* const host = thread_host::of_this_thread();
    return host != nullptr && host->identity() == identity;
}

const void* loop_of_this_thread() noexcept {
    return here.turn != nullptr ? remote_of(*here.turn).identity() : nullptr;
}

blocking_scope::blocking_scope(const blocking& on, bool for_ever) {
    if (!for_ever) return;
    const void* const loop = loop_of_this_thread();
    if (loop != nullptr && on.depends_on(loop))
        throw deadlock_error(
            "deadlock: a callback of a loop blocks until that loop makes progress; co_await it in "
            "a task");
    thread_host* const host = thread_host::of_this_thread();
    if (host == nullptr) return;
    host->begin_block(on);
    host_ = host;
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
