// SPDX-License-Identifier: MIT
// The threads of a lane. They share its state with the loop and own it like the loop does; nobody
// joins them.
#include <rondo/detail/thread/lane.hpp>

#include <condition_variable>
#include <mutex>
#include <new>

#include "thread/pool_threads.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

struct lane_threads {
    lane_threads(remote h, std::size_t most, const char* thread_name) noexcept
        : home(std::move(h)), threads_max(most), name(thread_name) {}

    enum class taken { queued, unwanted, no_thread };
    taken submit(lane_job& job, const std::shared_ptr<lane_threads>& self) noexcept;
    bool take_back(lane_job& job) noexcept;
    /// Drops what is queued. Returns when no thread is left but those that are in a call.
    void end() noexcept;
    void send_home(lane_job& job) noexcept;

private:
    bool start_thread(const std::shared_ptr<lane_threads>& self) noexcept;
    void work() noexcept;

    const remote home;
    std::mutex mutex;
    std::condition_variable awake;
    std::condition_variable left;
    job_queue queue;
    const std::size_t threads_max;
    std::size_t threads = 0;
    std::size_t calling = 0;
    std::size_t idle = 0;      // that sleep and that nobody has woken
    std::size_t wake_ups = 0;  // given, and not yet taken
    bool ending = false;
    const char* const name;
};

lane_threads::taken lane_threads::submit(lane_job& job,
                                         const std::shared_ptr<lane_threads>& self) noexcept {
    {
        const std::lock_guard lock(mutex);
        if (ending) return taken::unwanted;
        if (idle == 0) {
            const bool started = threads < threads_max && start_thread(self);
            if (!started && threads == 0) return taken::no_thread;
            queue.append(job);
            return taken::queued;
        }
        queue.append(job);
        --idle;
        ++wake_ups;
    }
    awake.notify_one();
    return taken::queued;
}

bool lane_threads::take_back(lane_job& job) noexcept {
    const std::lock_guard lock(mutex);
    if (job.previous == nullptr) return false;
    queue.remove(job);
    return true;
}

/// Under the lock. The thread holds what it works on.
bool lane_threads::start_thread(const std::shared_ptr<lane_threads>& self) noexcept {
    using share = std::shared_ptr<lane_threads>;
    auto* const own = new (std::nothrow) share(self);
    if (own == nullptr) return false;
    pthread_t thread{};
    const auto main = [](void* word) -> void* {
        const std::unique_ptr<share> mine(static_cast<share*>(word));
        (*mine)->work();
        return nullptr;
    };
    if (!start_pool_thread(thread, main, own)) {
        delete own;
        return false;
    }
    ::pthread_detach(thread);
    ++threads;
    return true;
}

void lane_threads::work() noexcept {
    ::pthread_setname_np(::pthread_self(), name);
    std::unique_lock lock(mutex);
    while (!ending) {
        while (!queue.empty()) {
            lane_job& job = static_cast<lane_job&>(queue.pop());
            ++calling;
            lock.unlock();
            job.call();
            send_home(job);
            lock.lock();
            --calling;
        }
        if (ending) break;
        ++idle;
        awake.wait(lock, [this] { return wake_ups != 0 || ending; });
        if (wake_ups != 0) --wake_ups;
    }
    --threads;
    left.notify_all();
}

void lane_threads::send_home(lane_job& job) noexcept {
    if (!home.try_post(job.post_)) delete &job;
}

void lane_threads::end() noexcept {
    std::unique_lock lock(mutex);
    ending = true;
    while (!queue.empty()) delete &static_cast<lane_job&>(queue.pop());
    awake.notify_all();
    left.wait(lock, [this] { return threads == calling; });
}

// -- on the simulator -----------------------------------------------------------------------------

/// Its kernel keeps the address of a job until a moment of its own choice, and has nobody to give
/// the job to when it goes first. So a task that cannot be left keeps the loop until then, which
/// costs virtual time only.
struct lane_job::simulated_wait : leaf_wait {
    explicit simulated_wait(lane_job& j) noexcept : leaf_wait(kind_of), job(&j) {}
    bool await_ready() const noexcept { return job == nullptr; }
    void await_suspend(std::coroutine_handle<> frame, location at = location::current()) noexcept {
        park(*this, frame, at);
        job->held_by_ = this;
    }
    void await_resume() const noexcept {}

    static void stay(leaf_wait&) noexcept {}
    static constexpr wait_kind kind_of{"a call on the simulator's threads", stay, nullptr};
    lane_job* job;
};

task<> lane::hold_simulated(lane_job& job) {
    struct holding : only_in_tasks {
        explicit holding(lane_job& j) noexcept : job(&j) {}
        lane_job::simulated_wait rondo_awaiter() const noexcept {
            return lane_job::simulated_wait(*job);
        }
        lane_job* job;
    };
    co_await holding(job);
}

// -- the loop's side ------------------------------------------------------------------------------

lane_job::lane_job() noexcept
    : pool_job(nullptr),
      post_{[](void* word) noexcept {
                const std::unique_ptr<lane_job> job(static_cast<lane_job*>(word));
                if (job->held_by_ != nullptr) wake(*job->held_by_);
                job->came_home();
            },
            this} {}

lane_job::~lane_job() = default;

lane::lane(loop& home, std::size_t threads_max, const char* thread_name)
    : threads_(std::make_shared<lane_threads>(home.remote(), threads_max, thread_name)) {
    home.at_shutdown([threads = threads_] { threads->end(); });
}

void lane::run_simulated(void* word) noexcept {
    auto& job = *static_cast<lane_job*>(word);
    job.call();
    const std::shared_ptr<lane_threads> home = std::move(job.simulated_on_);
    home->send_home(job);
}

void lane::start(std::unique_ptr<lane_job> owned) {
    lane_job& job = *owned.release();
    job.simulated_on_ = threads_;
    if (run_elsewhere(running(), run_simulated, &job)) {
        create_task(hold_simulated(job), {.name = "a call on a lane", .eager = true});
        return;
    }
    job.simulated_on_ = nullptr;
    switch (threads_->submit(job, threads_)) {
        case lane_threads::taken::queued:
            break;
        case lane_threads::taken::no_thread:  // better late for others than lost
            job.call();
            threads_->send_home(job);
            break;
        case lane_threads::taken::unwanted:  // the loop has ended but for its last callbacks
            delete &job;
            break;
    }
}

bool lane::take_back(lane_job& job) noexcept {
    if (!threads_->take_back(job)) return false;
    delete &job;
    return true;
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
