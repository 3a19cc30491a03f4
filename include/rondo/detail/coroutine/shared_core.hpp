// SPDX-License-Identifier: MIT
// The untyped part of a future's shared state: its watchers, its number of holders and its flags.
// It is the head of a task's promise, so that a task and its future are one allocation. It is also
// the head of the state that a `promise<T>` fills.
#pragma once

#include <cstdint>
#include <new>

#include <rondo/config.hpp>
#include <rondo/detail/base/intrusive_list.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

struct shared_core;
struct task_awaiter_base;

/// A watcher of a shared_core: a node in the frame of the waiting coroutine.
struct wait_node {
    list_links<wait_node> links;
    void (*wake)(wait_node&, shared_core*) noexcept = nullptr;

    bool linked() const noexcept { return links.linked(); }
};

/// FIFO of wait nodes.
using wait_list = intrusive_list<wait_node, &wait_node::links>;

struct shared_core {
    enum flags_t : std::uint32_t {
        of_task = 1 << 0,        ///< the head of a coroutine frame; otherwise a promise_state
        root = 1 << 1,           ///< a frame that runs as a task of its own, not inside its awaiter
        started = 1 << 2,        ///< its body has been entered
        done = 1 << 3,           ///< the outcome is set
        failed = 1 << 4,         ///< the outcome is an error
        seen = 1 << 5,           ///< the error was retrieved
        valued = 1 << 6,         ///< the outcome is a value
        was_cancelled = 1 << 7,  ///< the outcome is a cancellation
        named = 1 << 8,          ///< a root whose origin is a task_name
        ending = 1 << 9,         ///< a root whose coroutine is being destroyed, or was
    };

    union {
        task_awaiter_base* awaiter;  // of a frame that is awaited
        shared_core* next_doomed;    // without holders, while destroy_shared runs
        wait_list watchers;          // of a root or a promise: waiters and done callbacks, one FIFO
    };
    std::uint32_t holders = 0;  // futures and promises, and the loop while the task runs
    std::uint32_t flags;

    explicit shared_core(std::uint32_t m) noexcept : awaiter(nullptr), flags(m) {}
    shared_core(const shared_core&) = delete;
    shared_core& operator=(const shared_core&) = delete;

    bool is_done() const noexcept { return (flags & done) != 0; }

    /// Makes `watchers` the active member of the union.
    void use_watchers() noexcept { ::new (static_cast<void*>(&watchers)) wait_list; }

    /// Sets `done` and wakes all watchers in FIFO order.
    void finish() noexcept {
        flags |= done;
        while (!watchers.empty()) {
            wait_node& node = watchers.pop();
            node.wake(node, this);
        }
    }
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
