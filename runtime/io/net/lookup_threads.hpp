// SPDX-License-Identifier: MIT
// Threads for lookups. getaddrinfo(3) may block forever and cannot be cancelled.
//
// A call by to_thread ends before its await ends, and before its loop ends. A lookup does not: its
// task may leave, and its loop may end, while the call goes on. So a job owns everything that its
// call touches. It belongs to the queue, then to a thread, and then returns to the loop by a post.
// If the loop has ended meanwhile, the thread destroys the job. A thread outlives its loop for as
// long as its call blocks, and the end of the process does not wait for it.
//
// Lookups have threads of their own, so that neither they nor calls by to_thread delay the others.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <rondo/detail/base/intrusive_list.hpp>
#include <rondo/endpoint.hpp>
#include <rondo/loop.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

/// Answer of a lookup: addresses with port 0, or an error.
struct answer {
    std::vector<endpoint> addresses;
    int failed = 0;        // EAI_*
    int system_error = 0;  // errno of EAI_SYSTEM
    answer() = default;    // no aggregate: see docs/gcc12.md
};

/// Looks up a name and may block forever. It runs on a thread that may outlive the loop, so it owns
/// all that it needs.
using name_source = std::function<answer(const std::string& host, address_family family)>;

class resolver;
struct lookup;
struct lookup_pool;
struct simulated_lookup;

/// One call, and everything that it touches.
struct lookup_job {
    lookup_job(resolver& home, lookup& of);
    ~lookup_job();
    lookup_job(const lookup_job&) = delete;
    lookup_job& operator=(const lookup_job&) = delete;

    /// Makes the call. On a thread; on the loop's thread if the loop is simulated.
    void call() noexcept;

    const std::string host;
    const address_family family;
    const std::shared_ptr<const name_source> source;  // null: the system's resolver
    answer found;
    list_links<lookup_job> links;  // in the queue, guarded by the pool's mutex

    // Used on the loop's thread only.
    resolver& home;
    lookup& of;
    simulated_lookup* held_by = nullptr;

    std::shared_ptr<lookup_pool> simulated_on;
    preallocated_post post;  // returns the job to its loop
};

/// The threads of one loop's resolver.
/// Thread: its loop's thread.
class lookup_threads {
public:
    /// Threads are started when they are needed. They end with the loop, except those that block.
    explicit lookup_threads(loop& home);

    /// Jobs begin in the order of these calls. If no thread can be started, the loop's own thread
    /// makes the call.
    /// Returns: false if the loop has ended; the job is destroyed then.
    /// Throws: std::bad_alloc.
    bool start(std::unique_ptr<lookup_job> job);

    /// Destroys the job if its call has not begun, and returns true.
    bool take_back(lookup_job& job) noexcept;

private:
    std::shared_ptr<lookup_pool> pool_;
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
