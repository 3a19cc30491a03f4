// SPDX-License-Identifier: MIT
// Shared tools of thread_pool's tests: jobs that signal that they run and wait, and pools in one
// line.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <thread>

#include <rondo/thread_pool.hpp>

#include "support/core_tools.hpp"
#include "support/executor_tools.hpp"

namespace rondo_tests {

using policy = rejection_policy;

/// Jobs that signal that they run, and wait until they are released.
class held_jobs {
public:
    explicit held_jobs(thread_pool& pool) : pool_(pool) {}
    ~held_jobs() { open(); }

    /// Starts one more job; it runs when this returns.
    thread_future<int> run_one() {
        const int before = running();
        auto f = submit();
        while (running() == before) std::this_thread::yield();
        return f;
    }
    thread_future<int> submit() {
        const int number = ++count_;
        return pool_.submit([shared = shared_, number] {
            ++shared->running;
            shared->door.pass();
            return number;
        });
    }
    void open() { shared_->door.open(); }
    int running() const { return shared_->running; }

private:
    struct state {  // shared with the jobs, which may outlive this object
        gate door;
        std::atomic<int> running{0};
    };
    thread_pool& pool_;
    std::shared_ptr<state> shared_ = std::make_shared<state>();
    int count_ = 0;
};

inline void until_idle(const thread_pool& pool, std::size_t threads) {
    while (pool.stats().threads != threads || pool.stats().busy != 0) std::this_thread::yield();
}

inline thread_pool_options bounds(std::size_t core, std::size_t max, std::size_t queue,
                           policy rejection = policy::abort) {
    thread_pool_options options;
    options.core = core;
    options.max = max;
    options.queue_capacity = queue;
    options.rejection = rejection;
    return options;
}

}  // namespace rondo_tests
