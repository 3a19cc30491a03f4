// SPDX-License-Identifier: MIT
// The names of threads, and the list of all threads that rondo has started: rondo::thread, the
// threads of pools, of loop_pools, and the few that rondo keeps for itself.
//
//     for (const rondo::thread_info& each : rondo::threads())
//         fmt::print("{} {}\n", each.native_id, each.name);
//     rondo::set_this_thread_name("checking sums");
//
// The system shows 15 bytes of a name, rondo keeps all of it.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include <rondo/config.hpp>

namespace rondo {
inline namespace v0 {

/// Says why rondo has started a thread.
enum class thread_kind {
    thread,         ///< a rondo::thread
    pool,           ///< of a thread_pool; to_thread uses one as well
    loop,           ///< runs a loop of a loop_pool
    timer,          ///< of a thread_timer that is started
    resolver,       ///< looks up names; may outlive its loop if the name server is silent
    processes,      ///< of a process_pool
    shared_memory,  ///< wakes tasks when memory changes that processes share
};

/// A thread in the list of `threads()`.
struct thread_info {
    std::string name;
    int native_id = 0;  ///< the number that ps -L, top and gdb show; 0 before it has begun
    thread_kind kind = thread_kind::thread;
};

/// The threads that rondo has started and that have not ended, in the order of their start. A
/// rondo::thread is in it from its constructor until its function has returned, another thread from
/// the moment at which it begins to run. The list has neither the main thread, nor threads that
/// others started, nor the kernel's own (iou-wrk). After a fork, the child's list is empty.
/// Throws: std::bad_alloc.
/// Thread: any.
/// See:    threading.enumerate.
RONDO_API std::vector<thread_info> threads();

/// The number of these threads.
/// Thread: any.
/// See:    threading.active_count, which counts the main thread too.
RONDO_API std::size_t thread_count() noexcept;

/// The name of the calling thread. On a thread that rondo has not started, these are the 15 bytes
/// that the system keeps.
/// See: threading.current_thread().name, pthread_getname_np(3).
RONDO_API std::string this_thread_name();

/// Names the calling thread. ps, top and gdb show the first 15 bytes. A thread of a pool keeps the
/// name after the job. On the main thread this is the name by which ps and killall know the
/// process.
/// See: Thread.name, pthread_setname_np(3).
RONDO_API void set_this_thread_name(std::string name);

}  // namespace v0
}  // namespace rondo
