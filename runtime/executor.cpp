// SPDX-License-Identifier: MIT
// A loop's pool of threads, and the way of a job: from the awaiting frame into the pool's queue, onto a thread, and home.
//
// Out: one mutex and an intrusive FIFO. A thread takes one job at a time (one that took the whole list would be faster
// and starve the others), and is woken only when it sleeps. Threads are started when none is idle, up to the limit.
//
// Home: finished jobs are pushed onto a list of the loop's, one compare-and-swap each. Whoever finds it empty posts to
// the loop, and the loop takes the whole list: one post for a batch. The post's place was made with the executor, so the
// way home neither allocates nor fails. The loop's hook joins the threads; they hold nothing of it after that.
#include <rondo/executor.hpp>

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <vector>

#include "pool_threads.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

std::size_t cores() noexcept {
    cpu_set_t set;
    if (::sched_getaffinity(0, sizeof set, &set) != 0) return 1;
    return static_cast<std::size_t>(CPU_COUNT(&set));
}

}  // namespace

/// A queue and the threads that run what is in it. Any thread.
class worker_threads {
public:
    worker_threads(std::size_t most, const char* name) noexcept : most_(most), name_(name) {}
    ~worker_threads() { join(); }
    worker_threads(const worker_threads&) = delete;
    worker_threads& operator=(const worker_threads&) = delete;

    /// Has `job.run` called on a thread. False where there is none and none can be started: nothing was taken.
    bool submit(pool_job& job) noexcept;
    /// True where no thread has taken the job: it is out of the queue.
    bool take_back(pool_job& job) noexcept;
    /// Ends the threads once the queue is empty. Nothing is taken afterwards.
    void join() noexcept;

    void set_most(std::size_t most) noexcept {
        const std::lock_guard lock(mutex_);
        most_ = most;
    }

private:
    bool start_thread() noexcept;
    void work() noexcept;

    std::mutex mutex_;
    std::condition_variable awake_;
    job_queue queue_;
    std::vector<pthread_t> threads_;
    std::size_t most_;
    std::size_t idle_ = 0;     // threads that sleep and that nobody has woken
    std::size_t wake_ups_ = 0; // given, and not yet taken by a thread
    bool ending_ = false;
    const char* name_;
};

bool worker_threads::submit(pool_job& job) noexcept {
    {
        const std::lock_guard lock(mutex_);
        if (ending_) return false;
        if (idle_ == 0) {
            const bool started = threads_.size() < most_ && start_thread();
            if (!started && threads_.empty()) return false;
            queue_.append(job);
            return true;
        }
        queue_.append(job);
        --idle_;
        ++wake_ups_;
    }
    awake_.notify_one();
    return true;
}

bool worker_threads::take_back(pool_job& job) noexcept {
    const std::lock_guard lock(mutex_);
    if (job.previous == nullptr) return false;
    queue_.remove(job);
    return true;
}

/// Under the lock: the new thread finds the job that it is for once that is let go.
bool worker_threads::start_thread() noexcept {
    try {
        threads_.reserve(threads_.size() + 1);
    } catch (...) {
        return false;
    }
    pthread_t thread{};
    const auto main = [](void* self) -> void* {
        static_cast<worker_threads*>(self)->work();
        return nullptr;
    };
    if (!start_pool_thread(thread, main, this)) return false;
    threads_.push_back(thread);
    return true;
}

void worker_threads::work() noexcept {
    ::pthread_setname_np(::pthread_self(), name_);
    std::unique_lock lock(mutex_);
    for (;;) {
        while (!queue_.empty()) {
            pool_job& job = queue_.pop();
            lock.unlock();
            job.run(job);
            lock.lock();
        }
        if (ending_) return;
        ++idle_;
        awake_.wait(lock, [this] { return wake_ups_ != 0 || ending_; });
        if (wake_ups_ != 0) --wake_ups_;
    }
}

void worker_threads::join() noexcept {
    {
        const std::lock_guard lock(mutex_);
        ending_ = true;
    }
    awake_.notify_all();
    for (const pthread_t thread : threads_) ::pthread_join(thread, nullptr);
    threads_.clear();
}

/// What a loop has of this layer: its pool, and the list that jobs come home by.
class loop_executor {
public:
    explicit loop_executor(remote home) noexcept : home_(std::move(home)) {}

    static loop_executor& of(loop& loop);

    /// The job has ended: its task is ready in the loop's next look. Any thread.
    void come_home(thread_wait& wait) noexcept;

    worker_threads workers{std::min<std::size_t>(32, cores() + 4), "rondo-pool"};

private:
    void deliver() noexcept;

    std::atomic<pool_job*> finished_{nullptr};  // the last one first
    remote home_;
    standing_post post_{[](void* self) noexcept { static_cast<loop_executor*>(self)->deliver(); },
                        this};
};

loop_executor& loop_executor::of(loop& loop) {
    static constexpr char key = 0;
    std::shared_ptr<void>& slot = loop.extension(&key);
    if (slot == nullptr) {
        auto fresh = std::make_shared<loop_executor>(loop.remote());
        loop.at_shutdown([self = fresh.get()] { self->workers.join(); });
        slot = std::move(fresh);
    }
    return *static_cast<loop_executor*>(slot.get());
}

// Acquire, too: the one who finds the list empty re-uses the post, after the loop has let go of it.
void loop_executor::come_home(thread_wait& wait) noexcept {
    pool_job& job = wait;
    pool_job* last = finished_.load(std::memory_order_relaxed);
    do {
        job.next = last;
    } while (!finished_.compare_exchange_weak(last, &job, std::memory_order_acq_rel,
                                              std::memory_order_relaxed));
    if (last == nullptr) home_.try_post(post_);
}

void loop_executor::deliver() noexcept {
    pool_job* last = finished_.exchange(nullptr, std::memory_order_acq_rel);
    pool_job* first = nullptr;
    while (last != nullptr) {
        pool_job* const before = last->next;
        last->next = first;
        first = std::exchange(last, before);
    }
    while (first != nullptr)
        wake(static_cast<thread_wait&>(*std::exchange(first, first->next)));
}

// -- the awaiter ------------------------------------------------------------------------------------------------------

struct thread_wait_kind {
    /// True where the job has not begun, and now never does.
    static bool take_back(thread_wait& self) noexcept {
        if ((self.state & thread_wait::simulated) != 0) {
            if ((self.state & thread_wait::ran) == 0) self.state |= thread_wait::refused;
            return true;
        }
        if (!self.executor_->workers.take_back(self)) return false;
        self.state |= thread_wait::refused;
        wake(self);
        return true;
    }
    static void leave(leaf_wait& wait) noexcept { take_back(static_cast<thread_wait&>(wait)); }
    static void stop(leaf_wait& wait) noexcept {
        auto& self = static_cast<stoppable_thread_wait&>(wait);
        if (!take_back(self)) self.stop_.request_stop();
    }
    static constexpr wait_kind plain{"to_thread", leave, nullptr};
    static constexpr wait_kind stoppable{"to_thread", stop, nullptr};
};

thread_wait::thread_wait(void (*run)(pool_job&) noexcept) noexcept
    : thread_wait(run, thread_wait_kind::plain) {}

stoppable_thread_wait::stoppable_thread_wait(void (*run)(pool_job&) noexcept)
    : thread_wait(run, thread_wait_kind::stoppable) {}

void thread_wait::await_suspend(std::coroutine_handle<> frame, location at) {
    executor_ = &loop_executor::of(running_loop());
    park(*this, frame, at);
    if (run_elsewhere(*task->home, run_simulated, this)) {
        state |= simulated;
    } else if (!executor_->workers.submit(*this)) {
        state |= on_loop;  // better late for others than lost
        run(*this);
    }
}

void thread_wait::finish() noexcept {
    if ((state & on_loop) != 0)
        wake(*this);
    else
        executor_->come_home(*this);
}

// On the loop's thread, at a moment of the simulator's choice. What was cancelled before has not begun and never does;
// it comes home at that moment all the same, since the simulator keeps its address until then.
void thread_wait::run_simulated(void* wait) noexcept {
    auto& self = *static_cast<thread_wait*>(wait);
    self.state |= ran;
    self.run(self);
}

}  // namespace detail

void set_default_executor_threads(loop& loop, std::size_t threads_max) {
    RONDO_ASSERT(threads_max != 0, "an executor needs at least one thread");
    detail::loop_executor::of(loop).workers.set_most(threads_max);
}

}  // namespace v0
}  // namespace rondo
