// SPDX-License-Identifier: MIT
// The threads of a loop_pool, and its `run`: a loop on the calling thread whose main task waits for
// all mains.
#include <rondo/loop_pool.hpp>

#include <pthread.h>
#include <sched.h>

#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <string>

#include <rondo/detail/compose/children.hpp>

#include "thread/listed_thread.hpp"
#include "thread/pool_threads.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

/// Room for 16,384 cores: sched_getaffinity(2) fails with EINVAL if the set is smaller than the
/// kernel's own.
struct core_set {
    cpu_set_t bits[16]{};
    static constexpr std::size_t size_max = sizeof(cpu_set_t) * 8 * 16;
};

/// The cores that this thread may use (sched_getaffinity(2)).
std::vector<std::size_t> usable_cores() {
    std::vector<std::size_t> cores;
    core_set set;
    if (::sched_getaffinity(0, sizeof set, set.bits) == 0)
        for (std::size_t core = 0; core < core_set::size_max; ++core)
            if (CPU_ISSET_S(core, sizeof set, set.bits)) cores.push_back(core);
    return cores;
}

/// A loop and its thread.
struct member {
    loop_threads* pool;
    std::size_t index;
    pthread_t thread{};
    std::optional<remote> home;  // set once the loop runs
    loop* running = nullptr;
    std::exception_ptr failure;  // why the loop could not be made
    preallocated_post stopping{stop, this};

    member(loop_threads* of, std::size_t i) noexcept : pool(of), index(i) {}
    static void stop(void* self) noexcept { static_cast<member*>(self)->running->stop(); }
};

constinit thread_local const member* this_member = nullptr;

/// A call of `run` in progress, on the thread that called it.
struct mains {
    loop_threads& pool;
    function<task<>(std::size_t)>& begin;
    remote home;
    task_handle main{};
    std::mutex mutex{};
    std::exception_ptr first{};
    preallocated_post cancelling{cancel, this};

    mains(loop_threads& p, function<task<>(std::size_t)>& b, remote h) noexcept
        : pool(p), begin(b), home(std::move(h)) {}
    static void cancel(void* self) noexcept { static_cast<mains*>(self)->main.cancel(); }

    /// Records the exception that is being handled: of a main, or of the call of one. Any thread,
    /// in a turn.
    void failed() noexcept;
};

std::string further(const std::exception_ptr& first) {
    std::string text = "a further error in loop_pool::run; the first one was: ";
    try {
        std::rethrow_exception(first);
    } catch (const std::exception& e) {
        return text + e.what();
    } catch (...) {
        return text + "an exception of another kind";
    }
}

}  // namespace

/// The loops of a pool. Start and join on the constructing thread; everything else is for any
/// thread.
class loop_threads {
public:
    explicit loop_threads(const loop_pool_options& options);
    ~loop_threads();
    loop_threads(const loop_threads&) = delete;
    loop_threads& operator=(const loop_threads&) = delete;

    std::size_t size() const noexcept { return members_.size(); }
    const remote& home_of(std::size_t i) const noexcept { return *members_[i].home; }
    std::size_t next_index() noexcept {
        return turn_.fetch_add(1, std::memory_order_relaxed) % size();
    }
    void stop() noexcept;
    bool is_stopped() const noexcept { return stopped_.load(std::memory_order_acquire); }
    mains_end run(function<task<>(std::size_t)>& begin);

private:
    void start(std::size_t count);
    void wait_until_up();
    void join() noexcept;
    void work(member& self) noexcept;
    void pin(const member& self) const;
    void is_up(member& self, std::exception_ptr failure) noexcept;

    void add(mains& run);
    void remove(mains& run) noexcept;
    task<> call_all(mains& run);
    task<> call_one(mains& run, children& others, std::size_t i);
    static task<bool> main_of(mains* run, std::size_t i);

    const loop_pool_options options_;
    const std::string name_;
    const std::vector<std::size_t> cores_;
    std::deque<member> members_;
    std::atomic<std::size_t> turn_{0};
    std::mutex mutex_;
    std::condition_variable up_changed_;
    std::size_t up_ = 0;  // loops that run, or could not be made
    std::vector<mains*> runs_;
    std::atomic<bool> stopped_{false};
};

// -- threads --------------------------------------------------------------------------------------

loop_threads::loop_threads(const loop_pool_options& options)
    : options_(options), name_(options.name), cores_(usable_cores()) {
    try {
        start(options.loops != 0 ? options.loops : std::max<std::size_t>(cores_.size(), 1));
        wait_until_up();
    } catch (...) {
        join();
        throw;
    }
}

loop_threads::~loop_threads() {
    RONDO_ASSERT(this_member == nullptr || this_member->pool != this,
                 "deadlock: a loop_pool was destroyed on one of its own loops");
    RONDO_ASSERT(runs_.empty(), "a loop_pool was destroyed while another thread is in its run()");
    join();
}

// EAGAIN is the only error of pthread_create(3) with these arguments.
void loop_threads::start(std::size_t count) {
    RONDO_ASSERT(is_count(count), "a loop_pool was given a negative number of loops");
    const auto main = [](void* argument) -> void* {
        auto& self = *static_cast<member*>(argument);
        self.pool->work(self);
        return nullptr;
    };
    for (std::size_t i = 0; i < count; ++i) {
        member& one = members_.emplace_back(this, i);
        if (start_pool_thread(one.thread, main, &one)) continue;
        members_.pop_back();
        throw_system_error(EAGAIN, "start", "a thread for loop " + std::to_string(i));
    }
}

void loop_threads::wait_until_up() {
    std::unique_lock lock(mutex_);
    up_changed_.wait(lock, [this] { return up_ == members_.size(); });
    for (const member& one : members_)
        if (one.failure) std::rethrow_exception(one.failure);
}

void loop_threads::join() noexcept {
    {
        std::unique_lock lock(mutex_);
        up_changed_.wait(lock, [this] { return up_ == members_.size(); });
    }
    stop();
    for (const member& one : members_) ::pthread_join(one.thread, nullptr);
}

void loop_threads::is_up(member& self, std::exception_ptr failure) noexcept {
    const std::lock_guard lock(mutex_);
    self.failure = std::move(failure);
    ++up_;
    up_changed_.notify_all();
}

void loop_threads::pin(const member& self) const {
    if (!options_.pin || cores_.empty()) return;
    core_set one;
    CPU_SET_S(cores_[self.index % cores_.size()], sizeof one, one.bits);
    const int error = ::pthread_setaffinity_np(::pthread_self(), sizeof one, one.bits);
    if (error != 0) throw_system_error(error, "pin", this_thread_name());
}

// Makes, runs and destroys the loop on its own thread.
void loop_threads::work(member& self) noexcept {
    const listed_here listed(thread_kind::loop, name_, self.index);
    this_member = &self;
    try {
        pin(self);
        loop own(options_.loop);
        self.home.emplace(own.remote());
        self.running = &own;
        is_up(self, nullptr);
        try {
            own.run_forever();
        } catch (...) {
            own.call_exception_handler({"the loop of a loop_pool ends", std::current_exception()});
        }
    } catch (...) {
        is_up(self, std::current_exception());
    }
}

void loop_threads::stop() noexcept {
    const std::lock_guard lock(mutex_);
    if (stopped_.exchange(true)) return;
    for (mains* run : runs_) run->home.try_post(run->cancelling);
    for (member& one : members_)
        if (one.home) one.home->try_post(one.stopping);
}

namespace {
// After stop(), closed_error only says that a loop was stopped before the others: it is no failure.
void mains::failed() noexcept {
    std::exception_ptr error = std::current_exception();
    try {
        throw;
    } catch (const closed_error&) {
        if (pool.is_stopped()) return;
    } catch (...) {
    }
    {
        const std::lock_guard lock(mutex);
        if (!first) {
            first = std::move(error);
            return;
        }
    }
    running_loop().call_exception_handler({further(first), std::move(error)});
}
}  // namespace

// -- run ------------------------------------------------------------------------------------------

void loop_threads::add(mains& run) {
    const std::lock_guard lock(mutex_);
    runs_.push_back(&run);
    if (stopped_) run.main.cancel();
}

void loop_threads::remove(mains& run) noexcept {
    const std::lock_guard lock(mutex_);
    std::erase(runs_, &run);
}

mains_end loop_threads::run(function<task<>(std::size_t)>& begin) {
    main_run waiting({.loop = {.entries = 8, .completions = 16},
                      .handle_sigint = options_.handle_sigint,
                      .handle_sigterm = options_.handle_sigterm});
    mains run(*this, begin, waiting.loop().remote());
    auto main = waiting.loop().create_task(call_all(run), {.name = "loop_pool::run"});
    run.main = main;
    add(run);
    try {
        waiting.until_end(main);
    } catch (...) {
        remove(run);
        throw;
    }
    remove(run);
    if (main.cancelled())
        return waiting.was_interrupted() ? mains_end::interrupted : mains_end::stopped;
    main.result();
    return mains_end::all_done;
}

task<> loop_threads::call_all(mains& run) {
    children calls("loop_pool::run", children::others::go_on);
    for (std::size_t i = 0; i < size(); ++i) calls.start(call_one(run, calls, i));
    co_await calls.ended();
    if (run.first) std::rethrow_exception(run.first);
    if (calls.incomplete()) throw cancelled();
}

task<> loop_threads::call_one(mains& run, children& others, std::size_t i) {
    bool good = false;
    try {
        good = co_await on(home_of(i), main_of, &run, i);
    } catch (const cancelled&) {
        throw;
    } catch (...) {  // the loop has ended, or code on it has cancelled the main
        run.failed();
    }
    if (good) co_return;
    others.cancel();
    throw cancelled();
}

// Runs on the main's own loop: a further error goes to the exception handler of that loop.
task<bool> loop_threads::main_of(mains* run, std::size_t i) {
    try {
        co_await run->begin(i);
    } catch (const cancelled&) {
        throw;
    } catch (...) {
        run->failed();
        co_return false;
    }
    co_return true;
}

}  // namespace detail

// -- loop_pool ------------------------------------------------------------------------------------

loop_pool::loop_pool(loop_pool_options options)
    : threads_(std::make_unique<detail::loop_threads>(options)) {}
loop_pool::~loop_pool() = default;

std::size_t loop_pool::size() const noexcept { return threads_->size(); }

const remote& loop_pool::operator[](std::size_t loop) const noexcept {
    RONDO_ASSERT(loop < size(), "a loop_pool has no loop of that number");
    return threads_->home_of(loop);
}

const remote& loop_pool::next() noexcept { return threads_->home_of(threads_->next_index()); }

std::size_t loop_pool::current_index() {
    if (detail::this_member == nullptr)
        throw no_running_loop_error("this thread belongs to no loop_pool");
    return detail::this_member->index;
}

void loop_pool::stop() noexcept { threads_->stop(); }

// A loop that is ending accepts posts until its tasks have ended. A caller that keeps submitting
// would keep it alive, so submit fails from stop() on.
const remote& loop_pool::open_loop(std::size_t loop) const {
    if (threads_->is_stopped()) throw closed_error("submit to a loop_pool that was stopped");
    return (*this)[loop];
}
const remote& loop_pool::open_loop() { return open_loop(threads_->next_index()); }

detail::mains_end loop_pool::run_mains(detail::function<task<>(std::size_t)> begin) {
    return threads_->run(begin);
}

void loop_pool::throw_where_cancelled(detail::mains_end how) {
    if (how == detail::mains_end::interrupted) throw interrupted();
    if (how == detail::mains_end::stopped) throw future_cancelled("the loop_pool was stopped");
}

}  // namespace v0
}  // namespace rondo
