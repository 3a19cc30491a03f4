// SPDX-License-Identifier: MIT
// testing::world: a kernel, a loop on it, a leak probe, and a watchdog for the time limit.
//
// The watchdog is one thread for the whole process, since starting a thread for each seed would
// cost more than most seeds take. On a time-out it posts to the loop, whose thread prints its
// tasks. If that thread does not react within 1 s, the watchdog prints them itself.
#include <rondo/testing.hpp>

#include <dirent.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <utility>

#include "loop/loop_core.hpp"
#include "kernel/ring/ring.hpp"
#include "kernel/simulator/simulator.hpp"

extern "C" [[gnu::weak]] void __asan_init();
extern "C" [[gnu::weak]] void __tsan_init();

namespace rondo {
inline namespace v0 {
namespace testing {

leak_error::~leak_error() = default;

namespace {

/// The names in a folder of /proc as numbers, sorted, without the descriptor that lists the folder.
std::vector<int> numbers_in(const char* folder) {
    std::vector<int> numbers;
    DIR* listing = ::opendir(folder);
    if (listing == nullptr) return numbers;
    while (const dirent* e = ::readdir(listing))
        if (e->d_name[0] != '.') numbers.push_back(std::atoi(e->d_name));
    std::erase(numbers, ::dirfd(listing));
    ::closedir(listing);
    std::sort(numbers.begin(), numbers.end());
    return numbers;
}

/// True for an io_uring worker of the kernel. They are listed as threads of the process, and start
/// and end at any time.
bool is_kernel_worker(int thread) {
    const std::string path = "/proc/self/task/" + std::to_string(thread) + "/comm";
    std::FILE* file = std::fopen(path.c_str(), "re");
    if (file == nullptr) return true;  // it has ended
    char name[32] = "";
    const bool read = std::fgets(name, sizeof name, file) != nullptr;
    std::fclose(file);
    return !read || std::strncmp(name, "iou-", 4) == 0;  // not read: it has ended since
}

std::size_t count_threads() {
    std::vector<int> threads = numbers_in("/proc/self/task");
    return threads.size() - static_cast<std::size_t>(
                                std::count_if(threads.begin(), threads.end(), is_kernel_worker));
}

std::string target_of(int descriptor) {
    char target[256] = "";
    const std::string link = "/proc/self/fd/" + std::to_string(descriptor);
    const ssize_t size = ::readlink(link.c_str(), target, sizeof target - 1);
    return size < 0 ? "?" : std::string(target, static_cast<std::size_t>(size));
}

/// The open descriptors that are not in `before`, which is sorted. Only those that are still open
/// at a second and a third look count: to test whether memory is readable, a sanitizer opens a pipe
/// for an instant on any thread.
std::vector<int> opened_since(const std::vector<int>& before) {
    std::vector<int> found = numbers_in("/proc/self/fd");
    const auto is_old = [&](int number) {
        return std::binary_search(before.begin(), before.end(), number);
    };
    std::erase_if(found, is_old);
    for (int more = 2; more > 0 && !found.empty(); --more) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        const std::vector<int> now = numbers_in("/proc/self/fd");
        std::erase_if(
            found, [&](int number) { return !std::binary_search(now.begin(), now.end(), number); });
    }
    return found;
}

/// A child that has ended and was not waited for; 0 if there is none.
pid_t zombie() {
    siginfo_t info{};
    return ::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 ? info.si_pid : 0;
}

double number_from_environment(const char* name, double otherwise) {
    const char* text = std::getenv(name);
    if (text == nullptr || *text == '\0') return otherwise;
    return std::strtod(text, nullptr);
}

rondo::detail::sim_fault_kind kind_of(fault what) {
    using kind = rondo::detail::sim_fault_kind;
    switch (what) {
        case fault::cancel:
            return kind::cancel;
        case fault::error:
            return kind::error;
        case fault::short_transfer:
            return kind::cut;
        case fault::delay:
            return kind::delay;
        case fault::cancel_main:
            return kind::hook;
        case fault::none:
            break;
    }
    return kind::none;
}

/// `on_fault` is called with `argument` if options.what is cancel_main.
std::shared_ptr<rondo::detail::simulator> make_simulator(const sim_options& options,
                                                         void (*on_fault)(void*), void* argument) {
    rondo::detail::simulator_options how;
    how.seed = options.seed;
    how.queue_entries = options.loop.entries;
    how.fault = {options.at_operation, kind_of(options.what), options.error_number,
                 options.short_length};
    how.disk = options.disk_size;
    how.call_fault = {options.at_call, options.error_number};
    how.on_fault = on_fault;
    how.on_fault_argument = argument;
    return std::make_shared<rondo::detail::simulator>(how);
}

// -- the watchdog ---------------------------------------------------------------------------------

using real_clock = std::chrono::steady_clock;

/// A loop with a time limit.
struct watched_loop {
    rondo::loop* loop;
    rondo::remote remote;
    std::string where;
    real_clock::time_point deadline;
};

class watchdog {
public:
    explicit watchdog(bool in_forked_child)
        // the thread sanitizer does not support new threads in a forked child
        : started_(in_forked_child && __tsan_init != nullptr) {}

    /// Never destroyed: its thread may outlive main. A forked child gets a new watchdog, whose
    /// thread is not started yet.
    static watchdog& instance() {
        static std::mutex making;
        static watchdog* one = nullptr;
        static pid_t made_by = 0;
        std::lock_guard lock(making);
        if (one == nullptr || made_by != ::getpid()) one = new watchdog(one != nullptr);
        made_by = ::getpid();
        return *one;
    }

    /// Returns when the thread runs: the address sanitizer takes memory for it first, under a lock
    /// that a child which is forked at that moment would find locked for ever.
    void start() {
        std::unique_lock lock(mutex_);
        if (std::exchange(started_, true)) return;
        std::thread([this] { run(); }).detach();
        changed_.wait(lock, [this] { return runs_; });
    }
    void watch(watched_loop what) {
        std::lock_guard lock(mutex_);
        list_.push_back(std::move(what));
        changed_.notify_one();
    }
    void forget(const rondo::loop& loop) {
        std::lock_guard lock(mutex_);
        std::erase_if(list_, [&](const watched_loop& w) { return w.loop == &loop; });
    }

private:
    void run() {
        std::unique_lock lock(mutex_);
        runs_ = true;
        changed_.notify_one();
        for (;;) {
            const auto first = std::min_element(list_.begin(), list_.end(),
                                                [](const watched_loop& a, const watched_loop& b) {
                                                    return a.deadline < b.deadline;
                                                });
            if (first == list_.end()) {
                changed_.wait(lock);
            } else if (real_clock::now() < first->deadline) {
                const auto until = first->deadline;
                changed_.wait_until(lock, until);
            } else {
                time_out(*first);
            }
        }
    }

    [[noreturn]] static void time_out(const watched_loop& what) {
        static std::string headline;
        headline = "a test ran longer than its limit (" + what.where + "); its tasks";
        what.remote.try_post(
            [](void* word) {
                static_cast<rondo::loop*>(word)->core().print_tasks(headline.c_str());
                std::abort();
            },
            what.loop);
        std::this_thread::sleep_for(std::chrono::seconds(1));
        what.loop->core().print_tasks(
            (headline + "; something blocks the loop's thread").c_str());
        std::abort();
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<watched_loop> list_;
    bool started_;
    bool runs_ = false;
};

}  // namespace

std::vector<std::uint64_t> seeds(unsigned count) {
    if (const char* text = std::getenv("RONDO_SEED"); text != nullptr && *text != '\0')
        return {std::strtoull(text, nullptr, 0)};
    const double times = std::max(1.0, number_from_environment("RONDO_SEEDS", 1));
    std::vector<std::uint64_t> all(static_cast<std::size_t>(times * count));
    for (std::size_t i = 0; i < all.size(); ++i) all[i] = i + 1;
    return all;
}

void pretend_kernel(std::string_view version) {
    using rondo::detail::ring_limits;
    if (version.empty())
        rondo::detail::limit_ring(ring_limits());
    else if (version == "6.1")
        rondo::detail::limit_ring(ring_limits::linux_6_1());
    else if (version == "5.19")
        rondo::detail::limit_ring(ring_limits::linux_5_19());
    else
        throw std::invalid_argument("rondo cannot pretend to run on Linux " + std::string(version) +
                                    ", only on 6.1 and 5.19");
}

void pretend_kernel_from_environment() {
    if (const char* version = std::getenv("RONDO_PRETEND")) pretend_kernel(version);
}

namespace {

/// The running loop's simulator, or null.
rondo::detail::simulator* current_simulator() noexcept {
    rondo::detail::resumer* turn = rondo::detail::here.turn;
    if (turn == nullptr) return nullptr;
    return dynamic_cast<rondo::detail::simulator*>(rondo::detail::core_of(*turn).kernel.get());
}

rondo::detail::simulator& network_of_turn() {
    if (auto* const simulator = current_simulator()) return *simulator;
    throw invalid_state_error(
        "the network can be changed only inside a loop on a simulated kernel");
}

const sockaddr* address_of(const endpoint& part) noexcept {
    return static_cast<const sockaddr*>(part.data());
}

}  // namespace

bool simulated() noexcept { return current_simulator() != nullptr; }

void set_network(const network_conditions& conditions) {
    network_of_turn().set_network(
        {conditions.latency_least, conditions.latency_most},
        {conditions.lost_percent, conditions.duplicated_percent, conditions.reordered_percent});
}
void cut_off(const endpoint& part) { network_of_turn().cut_off(address_of(part), part.size()); }
void restore(const endpoint& part) { network_of_turn().restore(address_of(part), part.size()); }
void reset_connections() { network_of_turn().reset_connections(); }

// -- leak_probe -----------------------------------------------------------------------------------

/// Starts a thread under the thread sanitizer, before the first count. With the program's first
/// thread that sanitizer starts one of its own, which stays.
void start_sanitizer_thread() {
    static const bool started = [] {
        if (__tsan_init != nullptr) std::thread([] {}).join();
        return true;
    }();
    static_cast<void>(started);
}

leak_probe::leak_probe()
    : frames_((start_sanitizer_thread(), rondo::detail::live_frames())),
      descriptors_(numbers_in("/proc/self/fd")),
      threads_(count_threads()) {}

std::string leak_probe::leaks() const {
    std::string text;
    // Under a sanitizer frames come from malloc, and a frame that another thread frees stays
    // counted here. The sanitizer itself looks for leaks there.
    const bool sanitized = __asan_init != nullptr || __tsan_init != nullptr;
    const std::size_t frames = rondo::detail::live_frames();
    if (frames > frames_ && !sanitized)
        text += std::to_string(frames - frames_) + " coroutine frames are alive\n";
    for (int number : opened_since(descriptors_))
        text += "descriptor " + std::to_string(number) + " (" + target_of(number) + ") is open\n";
    std::size_t threads = count_threads();
    for (int tries = 0; tries < 500 && threads > threads_; ++tries) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        threads = count_threads();
    }
    if (threads > threads_)
        text += std::to_string(threads - threads_) + " threads run\n";
    if (const pid_t child = zombie(); child != 0)
        text += "child " + std::to_string(child) + " has ended and was not waited for\n";
    return text;
}

// -- world ----------------------------------------------------------------------------------------

struct world::watched {
    std::string problems;
    leak_probe probe;  // before the kernel is made
    std::shared_ptr<rondo::detail::simulator> simulator;
    std::optional<rondo::loop> loop;
    rondo::detail::shared_core* main = nullptr;  // the task of `run`, while it runs

    explicit watched(const sim_options& options)
        : simulator(make_simulator(options, cancel_main_soon, this)) {
        loop.emplace(simulator, options.loop);
        begin(options.limit, "on the simulator, RONDO_SEED=" + std::to_string(options.seed));
    }
    explicit watched(const ring_options& options) {
        loop.emplace(options.loop);
        const std::string_view kernel = loop->stats().kernel;
        begin(options.limit, kernel == "ring" ? "on the ring" : "on readiness");
    }
    ~watched() { end_loop(); }

    /// Called inside the kernel, as an operation begins. The cancellation comes with the loop's
    /// next posts, in the same turn.
    static void cancel_main_soon(void* word) {
        auto& self = *static_cast<watched*>(word);
        self.loop->remote().try_post(
            [](void* posted) {
                auto* const task = static_cast<watched*>(posted)->main;
                if (task != nullptr) rondo::detail::cancel_shared(*task);
            },
            &self);
    }

    void begin(duration limit, std::string where) {
        loop->set_exception_handler([this](const exception_context& context) { note(context); });
        const double slow = std::max(1.0, number_from_environment("RONDO_SLOW", 1));
        const auto patience = std::chrono::duration_cast<real_clock::duration>(limit * slow);
        watchdog::instance().watch(
            {&*loop, loop->remote(), std::move(where), real_clock::now() + patience});
    }

    void end_loop() {
        if (!loop) return;
        loop->close();
        const loop_stats s = loop->stats();
        if (s.tasks != 0) problems += std::to_string(s.tasks) + " tasks are left\n";
        if (s.operations != 0) problems += std::to_string(s.operations) + " operations are left\n";
        if (s.timers != 0) problems += std::to_string(s.timers) + " timers are set\n";
        if (simulator && simulator->descriptors_open() != 0)
            problems += std::to_string(simulator->descriptors_open()) +
                        " descriptors of the simulated kernel are open\n";
        watchdog::instance().forget(*loop);
        loop.reset();
    }

    void note(const exception_context& context) {
        problems += "an exception was not retrieved: " + context.message;
        try {
            if (context.error) std::rethrow_exception(context.error);
        } catch (const std::exception& e) {
            problems += std::string(": ") + e.what();
        } catch (...) {
            problems += ": not a std::exception";
        }
        problems += '\n';
    }
};

namespace {
// Starts the watchdog's thread before leak_probe counts: that thread is not the test's.
template <class Options>
const Options& with_watchdog(const Options& options) {
    watchdog::instance().start();
    return options;
}
}  // namespace

world::world(const sim_options& options)
    : watched_(std::make_unique<watched>(with_watchdog(options))) {}
world::world(const ring_options& options)
    : watched_(std::make_unique<watched>(with_watchdog(options))) {}
world::~world() = default;

world::while_main::while_main(world& of, const task_handle& main) : of_(*of.watched_) {
    of_.main = &rondo::detail::future_core(main);
}
world::while_main::~while_main() { of_.main = nullptr; }

rondo::loop& world::loop() noexcept { return *watched_->loop; }

void world::end() {
    watched_->end_loop();
    std::string problems = std::move(watched_->problems);
    problems += watched_->probe.leaks();
    if (problems.empty()) return;
    problems.pop_back();
    throw leak_error(problems);
}

void world::expect_fewer_frames(std::size_t count) noexcept {
    watched_->probe.expect_fewer_frames(count);
}

void world::put_file(std::string_view path, std::string_view bytes) {
    const int result = watched_->simulator->put_file(path, bytes);
    if (result < 0)
        throw std::system_error(-result, std::system_category(), "put_file " + std::string(path));
}
std::optional<std::string> world::get_file(std::string_view path) const {
    return watched_->simulator->get_file(path);
}
std::uint64_t world::operations() const noexcept { return watched_->simulator->operations(); }
std::uint64_t world::calls() const noexcept { return watched_->simulator->calls(); }
std::uint64_t world::trace() const noexcept { return watched_->simulator->trace_hash(); }

}  // namespace testing
}  // namespace v0
}  // namespace rondo
