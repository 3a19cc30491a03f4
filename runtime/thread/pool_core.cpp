// SPDX-License-Identifier: MIT
// Places jobs, runs the threads of a pool, and ends them.
#include "thread/pool_core.hpp"

#include <sched.h>

#include <algorithm>

#include <rondo/thread_sync.hpp>

#include "thread/listed_thread.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

std::size_t cores() noexcept {
    cpu_set_t set;
    if (::sched_getaffinity(0, sizeof set, &set) != 0) return 1;
    return static_cast<std::size_t>(CPU_COUNT(&set));
}

std::size_t core_of(const thread_pool_options& options) noexcept {
    if (options.core != 0) return options.core;
    const std::size_t usual = std::min<std::size_t>(32, cores() + 4);
    return options.max != 0 ? std::min(usual, options.max) : usual;
}

void check(const thread_pool_options& options) noexcept {
    RONDO_ASSERT(is_count(options.core) && is_count(options.max),
                 "a pool was given a negative number of threads");
    RONDO_ASSERT(options.max == 0 || options.core <= options.max,
                 "a pool was given a core above its max");
    RONDO_ASSERT(options.keep_alive >= duration::zero(), "a pool was given a negative keep_alive");
}

}  // namespace

/// A thread of the pool; on that thread's stack.
class pool_core::worker final : public thread_host {
public:
    explicit worker(pool_core& pool) noexcept : pool_(pool) {}

    const void* identity() const noexcept override { return &pool_; }
    void begin_block(const blocking& on) override;
    void end_block() noexcept override;

    /// True if it waits for a job that only this pool can run. The caller holds the mutex.
    bool is_stuck() const noexcept {
        return waits_for_room || (waits_for != nullptr && waits_for->depends_on(&pool_));
    }

    worker* next = nullptr;
    worker* previous = nullptr;
    std::stop_source stop{std::nostopstate};  // of its running job, if that takes a token
    const blocking* waits_for = nullptr;  // without a limit
    bool waits_for_room = false;
    pool_core& pool_;
};

pool_core::pool_core(const thread_pool_options& options, function<void()> initializer)
    : core_(core_of(options)),
      max_(std::max(options.max, core_)),
      capacity_(options.queue_capacity),
      keep_alive_(options.keep_alive),
      core_times_out_(options.core_times_out),
      policy_(options.rejection),
      on_destruction_(options.on_destruction),
      name_prefix_(options.name_prefix),
      initializer_(std::move(initializer)) {
    check(options);
}

pool_core::~pool_core() {
    shut_down(true);
    join();
}

/// A task that waits for the end of the threads, in its frame. In the pool's list until it is told.
/// All members need the mutex.
class pool_core::end_waiter {
public:
    explicit end_waiter(pool_core& pool) : pool_(pool), task_(here.current) {
        const lock held(pool_.mutex_);
        next_ = std::exchange(pool_.end_waiters_, this);
        if (pool_.threads_ == 0) notify();
        for (const worker* each = pool_.workers_; each != nullptr; each = each->next)
            if (each->waits_for != nullptr && refuses(*each->waits_for)) return;
    }
    ~end_waiter() {
        const lock held(pool_.mutex_);
        leave();
    }
    end_waiter(const end_waiter&) = delete;
    end_waiter& operator=(const end_waiter&) = delete;

    thread_future<> ended() const noexcept { return ended_.get_future(); }
    /// Resumes the task: the threads have ended.
    void notify() noexcept {
        leave();
        ended_.set_value();
    }
    /// A job of the pool blocks on `on`. If that is this task or a task around it, fails the wait
    /// with deadlock_error and returns true.
    bool refuses(const blocking& on) {
        for (const scope* s = task_; s != nullptr; s = s->parent) {
            if (!on.depends_on(s)) continue;
            leave();
            return ended_.set_exception(std::make_exception_ptr(
                deadlock_error("deadlock: a task waits for the end of a pool, and a job of the "
                               "pool waits for that task")));
        }
        return false;
    }
    end_waiter* next() const noexcept { return next_; }

private:
    void leave() noexcept {
        for (end_waiter** link = &pool_.end_waiters_; *link != nullptr; link = &(*link)->next_)
            if (*link == this) {
                *link = next_;
                return;
            }
    }

    pool_core& pool_;
    const scope* task_;
    end_waiter* next_ = nullptr;
    thread_promise<> ended_;
};

// -- a job's place --------------------------------------------------------------------------------

bool pool_core::has_room() const noexcept {
    return threads_ != 0 && queued_ - promised() < capacity_;
}

std::size_t pool_core::promised() const noexcept {
    return std::min(queued_, wake_ups_ + starting_);
}

void pool_core::append(pool_job& job) noexcept {
    queue_.append(job);
    ++queued_;
}

pool_core::answer pool_core::submit(pool_job& job, bool is_awaited) {
    pool_job* displaced = nullptr;
    {
        lock held(mutex_);
        for (;;) {
            if (broken_) return answer::broken;
            if (closing_) return answer::closed;
            if (idle_ != 0) {
                --idle_;
                ++wake_ups_;
                append(job);
                held.unlock();
                awake_.notify_one();
                return answer::taken;
            }
            if ((threads_ < core_ && start_thread()) || has_room() ||
                (threads_ < max_ && start_thread()))
                break;
            if (threads_ == 0) return answer::no_thread;
            if (policy_ == rejection_policy::abort) return answer::full;
            if (policy_ == rejection_policy::caller_runs) return answer::run_here;
            if (policy_ == rejection_policy::block) {
                if (is_awaited) break;
                if (!wait_for_room(held)) return answer::closed;
                continue;
            }
            if (policy_ == rejection_policy::discard || queue_.empty()) return answer::dropped;
            displaced = &queue_.pop();
            --queued_;
            break;
        }
        append(job);
    }
    if (displaced != nullptr) displaced->kind->give_up(*displaced, discarded());
    return answer::taken;
}

/// False if the pool was shut down during the wait.
bool pool_core::wait_for_room(lock& held) {
    RONDO_ASSERT(here.current == nullptr,
                 "submit in a task to a full pool with `block` would block its loop: use map or "
                 "run_in_executor");
    const bool ours = this_thread_belongs_to(this);
    auto* const self = ours ? static_cast<worker*>(thread_host::of_this_thread()) : nullptr;
    if (ours) {
        self->waits_for_room = true;
        try {
            must_not_be_stuck();
        } catch (...) {
            self->waits_for_room = false;
            throw;
        }
    }
    ++blocked_;
    room_.wait(held, [this] { return closing_ || broken_ || idle_ != 0 || has_room(); });
    --blocked_;
    if (ours) self->waits_for_room = false;
    return !closing_;
}

void pool_core::took_one() noexcept {
    --queued_;
    if (blocked_ != 0) room_.notify_one();
}

bool pool_core::take_back(pool_job& job) noexcept {
    const lock held(mutex_);
    if (!job.links.linked()) return false;
    queue_.remove(job);
    took_one();
    return true;
}

std::size_t pool_core::give_up_queued(lock& held, const std::exception_ptr& why) noexcept {
    std::size_t unseen = 0;
    while (!queue_.empty()) {
        pool_job& job = queue_.pop();
        took_one();
        held.unlock();
        const auto is_unwatched = job.kind->is_unwatched;
        if (is_unwatched != nullptr && is_unwatched(job)) ++unseen;
        job.kind->give_up(job, why);
        held.lock();
    }
    return unseen;
}

// -- a thread's life ------------------------------------------------------------------------------

/// The new thread finds its job in the queue once the mutex is released.
bool pool_core::start_thread() noexcept {
    pthread_t thread{};
    const auto main = [](void* word) -> void* {
        auto& pool = *static_cast<pool_core*>(word);
        worker self(pool);
        thread_host::of_this_thread() = &self;
        pool.work(self);
        return nullptr;
    };
    if (!start_pool_thread(thread, main, this)) return false;
    ++threads_;
    ++starting_;
    largest_ = std::max(largest_, threads_);
    return true;
}

/// False if the initializer threw: the pool is broken.
bool pool_core::initialize() noexcept {
    if (!initializer_) return true;
    try {
        initializer_();
        return true;
    } catch (...) {
        lock held(mutex_);
        if (!broken_) broken_ = std::current_exception();
        room_.notify_all();
        give_up_queued(held, std::make_exception_ptr(broken_pool_error(
                                 "the initializer of a thread of the pool threw")));
        return false;
    }
}

void pool_core::work(worker& self) noexcept {
    lock held(mutex_);
    self.next = std::exchange(workers_, &self);
    if (self.next != nullptr) self.next->previous = &self;
    const std::uint64_t number = names_++;
    held.unlock();
    {
        const listed_here listed(thread_kind::pool, name_prefix_, number);
        const bool ready = initialize();
        held.lock();
        --starting_;
        while (ready) {
            while (!queue_.empty()) run(self, queue_.pop(), held);
            if (closing_ || !wait_for_work(held)) break;
        }
    }
    leave(self, held);
}

void pool_core::run(worker& self, pool_job& job, lock& held) noexcept {
    took_one();
    ++busy_;
    const bool can_stop = job.kind->stopper != nullptr;
    if (can_stop) self.stop = job.kind->stopper(job);
    held.unlock();
    job.kind->run(job);
    held.lock();
    if (can_stop) self.stop = std::stop_source(std::nostopstate);
    --busy_;
    ++completed_;
}

/// False if the thread was idle for longer than keep_alive.
bool pool_core::wait_for_work(lock& held) {
    ++idle_;
    if (blocked_ != 0) room_.notify_one();
    const auto wanted = [this] { return wake_ups_ != 0 || closing_; };
    for (;;) {
        const bool may_end = core_times_out_ || threads_ > core_;
        const time_point end = may_end ? thread_deadline(keep_alive_) : time_point::max();
        if (wait_until(awake_, held, end, wanted)) break;
        if (!core_times_out_ && threads_ <= core_) continue;
        --idle_;
        return false;
    }
    if (wake_ups_ != 0)
        --wake_ups_;
    else
        --idle_;
    return true;
}

void pool_core::leave(worker& self, lock& held) noexcept {
    if (self.next != nullptr) self.next->previous = self.previous;
    (self.previous != nullptr ? self.previous->next : workers_) = self.next;
    const bool has_other = std::exchange(has_zombie_, true);
    const pthread_t other = std::exchange(zombie_, ::pthread_self());
    const bool last = --threads_ == 0 && (closing_ || broken_);
    held.unlock();
    if (has_other) ::pthread_join(other, nullptr);
    thread_host::of_this_thread() = nullptr;
    held.lock();
    if (last) wake_end_waiters();
    gone_.notify_all();
}

// -- the end --------------------------------------------------------------------------------------

std::size_t pool_core::shut_down(bool cancel_queued, const std::exception_ptr& why) noexcept {
    lock held(mutex_);
    closing_ = true;
    std::size_t unseen = 0;
    if (cancel_queued)
        unseen = give_up_queued(held, why != nullptr ? why : shut_down_too_early());
    awake_.notify_all();
    room_.notify_all();
    if (threads_ == 0) wake_end_waiters();
    return unseen;
}

void pool_core::must_not_be_own() const {
    if (this_thread_belongs_to(this))
        throw deadlock_error(
            "deadlock: a job or a done callback waits for the end of the pool on whose thread it "
            "runs");
}

task<> pool_core::ended(std::shared_ptr<pool_core> pool) {
    pool->must_not_be_own();
    {
        end_waiter self(*pool);
        co_await self.ended();
    }
    pool->join();
}

// The caller holds the mutex.
void pool_core::wake_end_waiters() noexcept {
    while (end_waiters_ != nullptr) end_waiters_->notify();
}

// One after the other, and without the mutex: stop callbacks are user code.
void pool_core::stop_running() noexcept {
    lock held(mutex_);
    for (;;) {
        std::stop_source next(std::nostopstate);
        for (worker* each = workers_; each != nullptr && !next.stop_possible(); each = each->next)
            if (each->stop.stop_possible() && !each->stop.stop_requested()) next = each->stop;
        if (!next.stop_possible()) return;
        held.unlock();
        next.request_stop();
        held.lock();
    }
}

void pool_core::join() noexcept {
    RONDO_ASSERT(!this_thread_belongs_to(this),
                 "deadlock: a thread pool is joined by a job or a done callback on one of its own "
                 "threads");
    lock held(mutex_);
    joining_loop_ = threads_ != 0 ? loop_of_this_thread() : nullptr;
    if (joining_loop_ != nullptr) {
        for (worker* each = workers_; each != nullptr; each = each->next)
            RONDO_ASSERT(
                each->waits_for == nullptr || !each->waits_for->depends_on(joining_loop_),
                "deadlock: a thread pool is joined on a loop's thread while one of its jobs waits "
                "for that loop; co_await pool.close() first");
    }
    gone_.wait(held, [this] { return threads_ == 0 && !joining_; });
    joining_loop_ = nullptr;
    if (!std::exchange(has_zombie_, false)) return;
    joining_ = true;
    const pthread_t last = zombie_;
    held.unlock();
    ::pthread_join(last, nullptr);
    held.lock();
    joining_ = false;
    gone_.notify_all();
}

thread_pool_stats pool_core::stats() const noexcept {
    const lock held(mutex_);
    const std::size_t waiting = std::min(queued_ - promised(), capacity_);
    return {threads_, busy_, waiting, completed_, largest_};
}

// -- threads that wait for their own pool ---------------------------------------------------------

bool pool_core::all_are_stuck() const noexcept {
    if (starting_ != 0 || wake_ups_ != 0 || idle_ != 0) return false;
    for (const worker* each = workers_; each != nullptr; each = each->next)
        if (!each->is_stuck()) return false;
    return true;
}

/// Throws deadlock_error if the calling thread was the last one that could make progress and no
/// further thread can be started.
void pool_core::must_not_be_stuck() {
    if (!all_are_stuck() || (threads_ < max_ && start_thread())) return;
    throw deadlock_error(
        "deadlock: a job waits for another job of its own pool, and so do all other threads of the "
        "pool: give it more threads, or a bounded queue and caller_runs");
}

void pool_core::worker::begin_block(const blocking& on) {
    const lock held(pool_.mutex_);
    RONDO_ASSERT(pool_.joining_loop_ == nullptr || !on.depends_on(pool_.joining_loop_),
                 "deadlock: a job waits for a loop whose thread joins the job's pool; co_await "
                 "pool.close() first");
    waits_for = &on;
    for (end_waiter* each = pool_.end_waiters_; each != nullptr;) {
        end_waiter* const following = each->next();
        each->refuses(on);
        each = following;
    }
    if (!on.depends_on(&pool_)) return;
    try {
        pool_.must_not_be_stuck();
    } catch (...) {
        waits_for = nullptr;
        throw;
    }
}

void pool_core::worker::end_block() noexcept {
    const lock held(pool_.mutex_);
    waits_for = nullptr;
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
