// SPDX-License-Identifier: MIT
// The threads that make lookups. They share the pool's state with the loop and own it like the loop
// does. They are detached: no thread joins them.
#include "io/net/lookup_threads.hpp"

#include <netdb.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <mutex>
#include <new>
#include <optional>

#include <rondo/future.hpp>

#include "io/net/resolver.hpp"
#include "thread/listed_thread.hpp"
#include "thread/pool_threads.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

// -- the call -------------------------------------------------------------------------------------

namespace {

int system_family(address_family family) noexcept {
    switch (family) {
        case address_family::ipv4:
            return AF_INET;
        case address_family::ipv6:
            return AF_INET6;
        default:
            return AF_UNSPEC;
    }
}

/// Runs on a thread that may have outlived the loop and main, so it uses only the C library and the
/// heap.
answer ask_system(const std::string& host, address_family family) {
    addrinfo hints{};
    hints.ai_family = system_family(family);
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* first = nullptr;
    answer result;
    result.failed = ::getaddrinfo(host.c_str(), nullptr, &hints, &first);
    result.system_error = result.failed == EAI_SYSTEM ? errno : 0;
    const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owned(first, ::freeaddrinfo);
    for (const addrinfo* each = first; each != nullptr; each = each->ai_next) {
        const auto address = endpoint::from_system(each->ai_addr, each->ai_addrlen);
        auto& all = result.addresses;
        const bool known = std::find(all.begin(), all.end(), address) != all.end();
        if (!known && address.family() != address_family::none) all.push_back(address);
    }
    return result;
}

}  // namespace

void lookup_job::call() noexcept {
    try {
        found = source != nullptr ? (*source)(host, family) : ask_system(host, family);
    } catch (...) {
        found = answer();
        found.failed = EAI_MEMORY;
    }
}

// -- the pool -------------------------------------------------------------------------------------

namespace {
constexpr std::size_t threads_max = 4;  // more help only against lookups that hang
}

struct lookup_pool {
    explicit lookup_pool(remote h) noexcept : home(std::move(h)) {}

    enum class outcome { queued, loop_has_ended, no_thread };
    outcome submit(lookup_job& job, const std::shared_ptr<lookup_pool>& self) noexcept;
    bool take_out(lookup_job& job) noexcept;
    /// Destroys the queued jobs. Returns when all threads have ended, except those in a call.
    void end() noexcept;
    /// Posts the job to its loop, or destroys it if the loop has ended.
    void send_home(lookup_job& job) noexcept;

private:
    bool start_thread(const std::shared_ptr<lookup_pool>& self) noexcept;
    void work() noexcept;

    const remote home;
    std::mutex mutex;
    std::condition_variable awake;
    std::condition_variable left;
    intrusive_list<lookup_job, &lookup_job::links> queue;
    std::size_t threads = 0;
    std::size_t calling = 0;
    std::size_t idle = 0;      // threads that sleep and have not been woken
    std::size_t wake_ups = 0;  // given, and not yet taken
    bool ending = false;
};

lookup_pool::outcome lookup_pool::submit(lookup_job& job,
                                         const std::shared_ptr<lookup_pool>& self) noexcept {
    {
        const std::lock_guard lock(mutex);
        if (ending) return outcome::loop_has_ended;
        if (idle == 0) {
            const bool started = threads < threads_max && start_thread(self);
            if (!started && threads == 0) return outcome::no_thread;
            queue.append(job);
            return outcome::queued;
        }
        queue.append(job);
        --idle;
        ++wake_ups;
    }
    awake.notify_one();
    return outcome::queued;
}

bool lookup_pool::take_out(lookup_job& job) noexcept {
    const std::lock_guard lock(mutex);
    if (!job.links.linked()) return false;
    queue.remove(job);
    return true;
}

/// Called under the lock. The thread owns a share of the pool.
bool lookup_pool::start_thread(const std::shared_ptr<lookup_pool>& self) noexcept {
    using share = std::shared_ptr<lookup_pool>;
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

void lookup_pool::work() noexcept {
    std::optional<listed_here> listed(std::in_place, thread_kind::resolver, "rondo-resolver");
    std::unique_lock lock(mutex);
    while (!ending) {
        while (!queue.empty()) {
            lookup_job& job = queue.pop();
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
    listed.reset();
    --threads;
    left.notify_all();
}

void lookup_pool::send_home(lookup_job& job) noexcept {
    if (!home.try_post(job.post)) delete &job;
}

void lookup_pool::end() noexcept {
    std::unique_lock lock(mutex);
    ending = true;
    while (!queue.empty()) delete &queue.pop();
    awake.notify_all();
    left.wait(lock, [this] { return threads == calling; });
}

// -- on the simulator -----------------------------------------------------------------------------

/// The simulator keeps the address of a job until a moment of its own choice, and cannot return the
/// job if it ends first. So a task that cannot be cancelled keeps the loop until then, which costs
/// virtual time only.
struct simulated_lookup : leaf_wait {
    explicit simulated_lookup(lookup_job& j) noexcept : leaf_wait(kind_of), job(j) {}
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> frame, location at = location::current()) noexcept {
        park(*this, frame, at);
        job.held_by = this;
    }
    void await_resume() const noexcept {}

    static void stay(leaf_wait&) noexcept {}
    static constexpr wait_kind kind_of{"a lookup on the simulator's threads", stay, nullptr};
    lookup_job& job;
};

namespace {

task<> wait_for_simulated(lookup_job& job) {
    struct awaitable : only_in_tasks {
        explicit awaitable(lookup_job& j) noexcept : job(j) {}
        simulated_lookup rondo_awaiter() const noexcept { return simulated_lookup(job); }
        lookup_job& job;
    };
    co_await awaitable(job);
}

void run_simulated(void* word) noexcept {
    auto& job = *static_cast<lookup_job*>(word);
    job.call();
    const std::shared_ptr<lookup_pool> pool = std::move(job.simulated_on);
    pool->send_home(job);
}

void finish(void* word) noexcept {
    const std::unique_ptr<lookup_job> job(static_cast<lookup_job*>(word));
    if (job->held_by != nullptr) wake(*job->held_by);
    job->home.ended(job->of, std::move(job->found));
}

}  // namespace

// -- the loop's side ------------------------------------------------------------------------------

lookup_job::lookup_job(resolver& h, lookup& l)
    : host(l.asked.first),
      family(l.asked.second),
      source(h.source()),
      home(h),
      of(l),
      post{finish, this} {}

lookup_job::~lookup_job() = default;

lookup_threads::lookup_threads(loop& home) : pool_(std::make_shared<lookup_pool>(home.remote())) {
    home.at_shutdown([pool = pool_] { pool->end(); });
}

bool lookup_threads::start(std::unique_ptr<lookup_job> owned) {
    lookup_job& job = *owned.release();
    job.simulated_on = pool_;
    if (run_elsewhere(running(), run_simulated, &job)) {
        create_task(wait_for_simulated(job), {.name = "a lookup", .eager = true});
        return true;
    }
    job.simulated_on = nullptr;
    switch (pool_->submit(job, pool_)) {
        case lookup_pool::outcome::queued:
            break;
        case lookup_pool::outcome::no_thread:  // blocks the loop, but the lookup is not lost
            job.call();
            pool_->send_home(job);
            break;
        case lookup_pool::outcome::loop_has_ended:  // called by one of its last callbacks
            delete &job;
            return false;
    }
    return true;
}

bool lookup_threads::take_back(lookup_job& job) noexcept {
    if (!pool_->take_out(job)) return false;
    delete &job;
    return true;
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
