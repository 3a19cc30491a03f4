// SPDX-License-Identifier: MIT
// The floor for `micro`: the same cases with the least code that can do them. Its coroutines cannot
// be cancelled, keep no error, are in no list, and record no location. Frames come from a free list
// of each size; there is a circular buffer of ready handles and a heap of deadlines. It uses no
// io_uring: `echo` measures the cost of that.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <coroutine>
#include <cstdlib>
#include <deque>
#include <mutex>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "../counts.hpp"

namespace {

// -- frames ---------------------------------------------------------------------------------------

constexpr std::size_t frame_step = 32;
void* free_frames[64];

void* take_frame(std::size_t size) {
    const std::size_t steps = (size + frame_step - 1) / frame_step;
    if (steps >= std::size(free_frames)) return std::malloc(size);
    if (free_frames[steps] == nullptr) {
        char* many = static_cast<char*>(std::malloc(steps * frame_step * 64));
        for (std::size_t i = 64; i-- > 0;) {
            void* frame = many + i * steps * frame_step;
            *static_cast<void**>(frame) = std::exchange(free_frames[steps], frame);
        }
    }
    void* frame = free_frames[steps];
    free_frames[steps] = *static_cast<void**>(frame);
    return frame;
}
void leave_frame(void* frame, std::size_t size) {
    const std::size_t steps = (size + frame_step - 1) / frame_step;
    if (steps >= std::size(free_frames)) return std::free(frame);
    *static_cast<void**>(frame) = std::exchange(free_frames[steps], frame);
}
struct pooled {
    static void* operator new(std::size_t size) { return take_frame(size); }
    static void operator delete(void* frame, std::size_t size) { leave_frame(frame, size); }
};

// -- who is ready ---------------------------------------------------------------------------------

class handle_ring {
public:
    bool empty() const { return head_ == tail_; }
    std::size_t size() const { return tail_ - head_; }
    void push(std::coroutine_handle<> h) {
        if (size() == handles_.size()) grow();
        handles_[tail_++ & (handles_.size() - 1)] = h;
    }
    std::coroutine_handle<> pop() { return handles_[head_++ & (handles_.size() - 1)]; }

private:
    void grow() {
        std::vector<std::coroutine_handle<>> larger(handles_.size() * 2);
        const std::size_t count = size();
        for (std::size_t i = 0; i < count; ++i) larger[i] = pop();
        handles_ = std::move(larger);
        head_ = 0;
        tail_ = count;
    }
    std::vector<std::coroutine_handle<>> handles_ = std::vector<std::coroutine_handle<>>(4096);
    std::size_t head_ = 0, tail_ = 0;
};
handle_ring ready;

// -- tasks ----------------------------------------------------------------------------------------

struct end_awaiter {
    bool await_ready() noexcept { return false; }
    template <class Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> h) noexcept {
        h.promise().done = true;
        return h.promise().waiter ? h.promise().waiter : std::noop_coroutine();
    }
    void await_resume() noexcept {}
};
struct promise_base : pooled {
    std::coroutine_handle<> waiter;
    bool done = false;
    std::suspend_always initial_suspend() noexcept { return {}; }
    end_awaiter final_suspend() noexcept { return {}; }
    [[noreturn]] void unhandled_exception() { std::abort(); }
};

/// An awaited coroutine: runs inside its caller.
struct inner {
    struct promise_type : promise_base {
        std::uint64_t value = 0;
        inner get_return_object() {
            return inner{std::coroutine_handle<promise_type>::from_promise(*this)};
        }
        void return_value(std::uint64_t v) { value = v; }
    };
    explicit inner(std::coroutine_handle<promise_type> h) : handle(h) {}
    inner(inner&& other) noexcept : handle(std::exchange(other.handle, {})) {}
    ~inner() {
        if (handle) handle.destroy();
    }
    bool await_ready() { return false; }
    std::coroutine_handle<> await_suspend(std::coroutine_handle<> waiter) {
        handle.promise().waiter = waiter;
        return handle;
    }
    std::uint64_t await_resume() { return handle.promise().value; }
    std::coroutine_handle<promise_type> handle;
};

/// Started: goes through the ready ring, and can be joined.
struct job {
    struct promise_type : promise_base {
        job get_return_object() {
            const auto h = std::coroutine_handle<promise_type>::from_promise(*this);
            ready.push(h);
            return job{h};
        }
        void return_void() {}
    };
    explicit job(std::coroutine_handle<promise_type> h) : handle(h) {}
    job(job&& other) noexcept : handle(std::exchange(other.handle, {})) {}
    ~job() {
        if (handle) handle.destroy();
    }
    bool await_ready() { return handle.promise().done; }
    void await_suspend(std::coroutine_handle<> waiter) { handle.promise().waiter = waiter; }
    void await_resume() {}
    std::coroutine_handle<promise_type> handle;
};

struct yield {
    bool await_ready() { return false; }
    void await_suspend(std::coroutine_handle<> h) { ready.push(h); }
    void await_resume() {}
};
static_assert(std::is_trivially_destructible_v<yield>);  // for g++ 12: see docs/gcc12.md

// -- deadlines: a 4-ary heap whose nodes know their place -----------------------------------------

constexpr std::uint64_t slack =
    65536;  // ns that a wake-up may come late, so that near ones share it

struct deadline {
    std::uint64_t when = 0;
    std::coroutine_handle<> sleeper;
    std::size_t place = 0;
};

class deadline_heap {
public:
    bool empty() const { return items_.empty(); }
    const deadline& first() const { return *items_[0].second; }
    void add(deadline& d) {
        items_.emplace_back();
        rise(items_.size() - 1, {d.when, &d});
    }
    void remove(deadline& d) {
        const item last = items_.back();
        items_.pop_back();
        if (d.place == items_.size()) return;
        if (d.place != 0 && last.first < items_[(d.place - 1) / 4].first)
            rise(d.place, last);
        else
            sink(d.place, last);
    }

private:
    using item = std::pair<std::uint64_t, deadline*>;
    void put(std::size_t place, const item& it) {
        items_[place] = it;
        it.second->place = place;
    }
    void rise(std::size_t hole, item it) {
        for (; hole != 0 && it.first < items_[(hole - 1) / 4].first; hole = (hole - 1) / 4)
            put(hole, items_[(hole - 1) / 4]);
        put(hole, it);
    }
    void sink(std::size_t hole, item it) {
        for (std::size_t child; (child = hole * 4 + 1) < items_.size();) {
            const auto begin = items_.begin() + static_cast<std::ptrdiff_t>(child);
            const auto end =
                items_.begin() + static_cast<std::ptrdiff_t>(std::min(child + 4, items_.size()));
            const auto least =
                std::min_element(begin, end, [](auto& a, auto& b) { return a.first < b.first; });
            if (least->first >= it.first) break;
            const auto place = static_cast<std::size_t>(least - items_.begin());
            put(hole, *least);
            hole = place;
        }
        put(hole, it);
    }
    std::vector<item> items_;
};
deadline_heap deadlines;

struct sleep_until {
    deadline node;
    explicit sleep_until(std::uint64_t when) { node.when = when; }
    bool await_ready() { return false; }
    void await_suspend(std::coroutine_handle<> h) {
        node.sleeper = h;
        deadlines.add(node);
    }
    void await_resume() {}
};

// -- the loop, and what other threads post to it --------------------------------------------------

struct post {
    void (*run)(std::uint64_t);
    std::uint64_t word;
};
std::mutex inbox_mutex;
std::condition_variable inbox_filled;
std::vector<post> inbox;
std::atomic<bool> inbox_pending = false;

void post_to_loop(post p) {
    bool first = false;
    {
        const std::lock_guard lock(inbox_mutex);
        first = inbox.empty();
        inbox.push_back(p);
        if (first) inbox_pending = true;
    }
    if (first) inbox_filled.notify_one();
}
void run_posts() {
    static std::vector<post> taken;
    {
        const std::lock_guard lock(inbox_mutex);
        taken.swap(inbox);
        inbox_pending = false;
    }
    for (const post& p : taken) p.run(p.word);
    taken.clear();
}
void wait_for_something() {
    std::unique_lock lock(inbox_mutex);
    const auto posted = [] { return !inbox.empty(); };
    if (deadlines.empty()) return inbox_filled.wait(lock, posted);
    const std::uint64_t now = bench::wall(), due = deadlines.first().when;
    const std::uint64_t left = due > now ? due - now : 0;
    inbox_filled.wait_for(lock, std::chrono::nanoseconds((left + slack - 1) / slack * slack),
                          posted);
}
void run_until_done(const job& main) {
    while (!main.handle.promise().done) {
        for (std::size_t left = ready.size(); left != 0; --left) ready.pop().resume();
        if (inbox_pending) run_posts();
        if (!deadlines.empty()) {
            const std::uint64_t now = bench::wall();
            while (!deadlines.empty() && deadlines.first().when <= now) {
                const deadline& due = deadlines.first();
                ready.push(due.sleeper);
                deadlines.remove(const_cast<deadline&>(due));
            }
        }
        if (ready.empty() && !main.handle.promise().done && !inbox_pending) wait_for_something();
    }
}

template <class F>
bench::measurement measured(std::uint64_t count, F begin) {
    const bench::stopwatch watch;
    {
        const job main = begin();
        run_until_done(main);
    }
    return watch.per(count);
}

// -- the cases ------------------------------------------------------------------------------------

std::uint64_t sink = 0;

job nothing() {
    ++sink;
    co_return;
}
job spawn_and_join(std::uint64_t count) {
    std::vector<job> all;
    all.reserve(count);
    for (std::uint64_t i = 0; i < count; ++i) all.push_back(nothing());
    for (job& one : all) co_await one;
}
job spawn_batches() {
    for (std::uint64_t i = 0; i < bench::batches; ++i) {
        std::vector<job> all;
        all.reserve(bench::batch_size);
        for (std::uint64_t k = 0; k < bench::batch_size; ++k) all.push_back(nothing());
        for (job& one : all) co_await one;
    }
}
inner deep(std::uint64_t below) {
    if (below == 0) co_return 0;
    co_return 1 + co_await deep(below - 1);
}
job await_chains() {
    for (std::uint64_t i = 0; i < bench::chains; ++i) sink += co_await deep(bench::depth);
}
[[gnu::noinline]] inner leaf(std::uint64_t number) { co_return number; }
job await_leaves() {
    for (std::uint64_t i = 0; i < bench::ready_awaits; ++i) sink += co_await leaf(i);
}
job yield_often() {
    for (std::uint64_t i = 0; i < bench::yields; ++i) co_await yield{};
}

struct countdown {
    std::size_t left;
    std::coroutine_handle<> waiter;
    bool await_ready() { return left == 0; }
    void await_suspend(std::coroutine_handle<> h) { waiter = h; }
    void await_resume() {}
};
job gather_one(countdown& group, std::uint64_t& result, inner child) {
    result = co_await child;
    if (--group.left == 0 && group.waiter) ready.push(group.waiter);
}
job gather_often() {
    for (std::uint64_t i = 0; i < bench::gathers; ++i) {
        std::vector<std::uint64_t> results(bench::gathered);
        std::vector<job> children;
        children.reserve(bench::gathered);
        countdown group{bench::gathered, {}};
        for (std::uint64_t& result : results)
            children.push_back(gather_one(
                group, result, leaf(static_cast<std::uint64_t>(&result - results.data()))));
        co_await group;
        for (const std::uint64_t number : results) sink += number;
    }
}

job sleeper(std::uint64_t ms) { co_await sleep_until(bench::wall() + ms * 1'000'000); }
job sleep_all(std::uint64_t count, bench::sleep_meter& meter) {
    std::vector<job> all;
    all.reserve(count);
    for (std::uint64_t i = 0; i < count; ++i) all.push_back(sleeper(bench::sleep_ms(count, i)));
    co_await yield{};
    co_await yield{};
    meter.all_asleep();
    for (job& one : all) co_await one;
}
template <std::uint64_t Count>
bench::measurement sleepers() {
    bench::sleep_meter meter(Count);
    {
        const job main = sleep_all(Count, meter);
        run_until_done(main);
    }
    return meter.done();
}
bench::measurement timer_cancel() {
    std::vector<deadline> outstanding(bench::timers_outstanding);
    bench::random_numbers random;
    const std::uint64_t start = bench::wall();
    for (deadline& d : outstanding) {
        d.when = start + 3'600'000'000'000 + random.next() % 1'000'000'000'000;
        deadlines.add(d);
    }
    deadline one;
    const bench::stopwatch watch;
    for (std::uint64_t i = 0; i < bench::timers_set; ++i) {
        one.when = start + 30'000'000'000 + i;
        deadlines.add(one);
        deadlines.remove(one);
    }
    return watch.per(bench::timers_set);
}

std::coroutine_handle<> awaiting_posts;
std::uint64_t posts_expected = 0;
std::vector<double> waited;
struct all_posts {
    bool await_ready() { return false; }
    void await_suspend(std::coroutine_handle<> h) { awaiting_posts = h; }
    void await_resume() {}
};
static_assert(std::is_trivially_destructible_v<all_posts>);
job await_posts() { co_await all_posts{}; }
void count_post(std::uint64_t) {
    if (--posts_expected == 0) ready.push(awaiting_posts);
}
bench::measurement post_throughput() {
    posts_expected = bench::posts;
    const bench::stopwatch watch;
    const job main = await_posts();
    std::thread poster([] {
        for (std::uint64_t i = 0; i < bench::posts; ++i) post_to_loop({count_post, 0});
    });
    run_until_done(main);
    poster.join();
    return watch.per(bench::posts);
}
bench::measurement post_latency() {
    posts_expected = bench::posts_to_idle;
    waited.reserve(bench::posts_to_idle);
    const job main = await_posts();
    std::thread poster([] {
        const auto arrived = [](std::uint64_t posted) {
            waited.push_back(static_cast<double>(bench::wall() - posted));
            count_post(0);
        };
        for (std::uint64_t i = 0; i < bench::posts_to_idle; ++i) {
            ::usleep(bench::pause_between_posts_us);
            post_to_loop({arrived, bench::wall()});
        }
    });
    run_until_done(main);
    poster.join();
    return bench::latencies(waited);
}

bench::measurement file_reads() {
    const int fd = ::open(bench::cached_file().c_str(), O_RDONLY | O_CLOEXEC);
    std::vector<char> buffer(bench::read_size);
    bench::random_numbers random(bench::first_seed);
    const bench::stopwatch watch;
    for (std::uint64_t i = 0; i < bench::reads; ++i) {
        const std::uint64_t place = random.next() % (bench::file_size / bench::read_size);
        const auto got = ::pread(fd, buffer.data(), buffer.size(),
                                 static_cast<off_t>(place * bench::read_size));
        if (got != static_cast<ssize_t>(bench::read_size)) std::abort();
    }
    const bench::measurement result = watch.per(bench::reads);
    ::close(fd);
    return result;
}

}  // namespace

int main(int argc, char** argv) {
    using namespace bench;
    constexpr auto by_cpu = judged::by_cpu, by_value = judged::by_value;
    return run(
        argc, argv,
        {
            {"spawn_join", "task started and joined, a million alive", by_cpu,
             [] { return measured(spawned, [] { return spawn_and_join(spawned); }); }},
            {"spawn_batch", "task started and joined, a thousand alive", by_cpu,
             [] { return measured(batches * batch_size, spawn_batches); }},
            {"await_depth", "await in a chain of a thousand", by_cpu,
             [] { return measured(chains * depth, await_chains); }},
            {"await_ready", "await of a task that returns at once", by_cpu,
             [] { return measured(ready_awaits, await_leaves); }},
            {"yield", "pass through the ready queue", by_cpu,
             [] { return measured(yields, yield_often); }},
            {"gather", "child of a gather of a thousand", by_cpu,
             [] { return measured(gathers * gathered, gather_often); }},
            {"sleepers_100k", "processor time of a task that sleeps", by_value, sleepers<100'000>},
            {"sleepers_1m", "processor time of a task that sleeps", by_value, sleepers<1'000'000>},
            {"timer_cancel", "timeout set and cancelled, ten thousand outstanding", by_cpu,
             timer_cancel},
            {"post_tput", "callback posted by another thread, as fast as it can", by_value,
             post_throughput},
            {"post_latency", "from a post into an idle loop to its call", by_value, post_latency},
            {"file_read4k", "pread of 4 KiB", by_value, file_reads},
        });
}
