// SPDX-License-Identifier: MIT
// Tests of programs that use rondo. A test body is a coroutine that runs on a simulated kernel, in
// virtual time, from a seed. A whole network takes microseconds, and ten hours of timers take no
// time at all. The seed of a failed run repeats the failure.
//
//     rondo::testing::simulate([]() -> rondo::task<> {
//         co_await rondo::sleep(10h);
//     });
//
// At the end, a run fails if it left something behind: frames, operations, timers, tasks,
// descriptors, threads, or children that were not waited for. It also fails if an exception was
// never retrieved. A run that takes too much real time prints which task waits where, and aborts.
//
// This header needs no test framework: every failure is an exception. The project's own tests bind
// it to Catch2 in tests/support/rondo_test.hpp, which can be copied.
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <rondo/endpoint.hpp>
#include <rondo/loop.hpp>

namespace rondo {
inline namespace v0 {

namespace detail {
class simulator;
}

namespace testing {

/// Something outlived its run, or an exception was never retrieved. what() has one line for each.
class RONDO_API leak_error : public error {
public:
    using error::error;
    ~leak_error() override;
};

/// A fault that a simulated kernel injects into one operation.
enum class fault : std::uint8_t {
    none,
    error,           ///< fails with sim_options::error_number; nothing was done
    cancel,          ///< ends with ECANCELED; nothing was done
    short_transfer,  ///< transfers at most sim_options::short_length bytes
    delay,           ///< begins one hour of virtual time later
    cancel_main,     ///< is not changed; the task of world::run is cancelled while it runs
};

/// Options of a simulated run.
struct sim_options {
    /// Determines latencies, short transfers and the order of completions.
    std::uint64_t seed = 1;
    fault what = fault::none;        ///< the fault to inject ...
    std::uint64_t at_operation = 0;  ///< ... into the operation of this number (world::operations)
    /// The number of a call that fails (world::calls): a system call such as socket(2), which is
    /// not an operation.
    std::uint64_t at_call = ~std::uint64_t(0);
    int error_number = EIO;          ///< the errno for fault::error and for at_call
    std::uint32_t short_length = 1;  ///< bytes, for fault::short_transfer
    /// Most bytes of all simulated files in total. A write beyond that is short, and the next one
    /// fails with ENOSPC.
    std::uint64_t disk_size = ~std::uint64_t(0);
    /// Most real time. The environment's RONDO_SLOW multiplies it.
    rondo::detail::time_limit limit = std::chrono::seconds(5);
    loop_options loop{.timer_slack = duration(0)};
};
static_assert(std::is_trivially_destructible_v<sim_options>);

/// Options of a run on the real ring.
struct ring_options {
    /// Most real time. The environment's RONDO_SLOW multiplies it.
    rondo::detail::time_limit limit = std::chrono::seconds(5);
    loop_options loop{};
};
static_assert(std::is_trivially_destructible_v<ring_options>);

/// The seeds that a test should run with: 1 to `count`. The environment's RONDO_SEEDS multiplies
/// `count`; if RONDO_SEED is set, that seed is the only one.
RONDO_API std::vector<std::uint64_t> seeds(unsigned count = 5);

/// Makes each new ring do without the features that Linux "6.1" or "5.19" lacked; "" ends that.
/// Throws: std::invalid_argument for any other version.
RONDO_API void pretend_kernel(std::string_view version);
/// Calls pretend_kernel with the environment's RONDO_PRETEND, if it is set.
RONDO_API void pretend_kernel_from_environment();

/// Counts frames, descriptors and threads when it is made, and reports later what was added.
/// Thread: the one that it was made on.
class RONDO_API leak_probe {
public:
    leak_probe();
    /// One line for each frame count, descriptor, thread count or unreaped child that was added;
    /// empty if nothing was. Waits up to half a second for threads that are about to end.
    std::string leaks() const;
    /// Says that `count` of the frames that existed at the start will be gone.
    void expect_fewer_frames(std::size_t count) noexcept { frames_ -= count; }

private:
    std::size_t frames_;
    std::vector<int> descriptors_;
    std::size_t threads_;
};

/// A loop on a kernel of its own, with a leak check and a time limit. `simulate` and `on_ring` are
/// made of it; use it for tests that look at the loop or the kernel from outside.
/// Thread: one.
class RONDO_API world {
public:
    /// A loop on a simulated kernel.
    explicit world(const sim_options& options);
    /// A loop on the real ring.
    /// Throws: uring_unavailable.
    explicit world(const ring_options& options);
    ~world();
    world(const world&) = delete;
    world& operator=(const world&) = delete;

    rondo::loop& loop() noexcept;

    /// Runs `main` to its end and returns its value. Other tasks stay.
    /// Throws: the exception of `main`; deadlock_error.
    template <class T>
    T run(task<T> main) {
        auto running = loop().create_task(std::move(main));
        const while_main mark(*this, running);
        return loop().run_until_complete(std::move(running));
    }

    /// Closes and destroys the loop.
    /// Throws: leak_error if something is left.
    void end();

    /// Says that `count` of the frames that existed before belong to the run, and end with it.
    void expect_fewer_frames(std::size_t count) noexcept;

    // -- only on a simulated kernel ---------------------------------------------------------------
    /// Writes a file of the simulated kernel, and makes the directories above it.
    /// Throws: std::system_error if a directory is at `path`, or a file above it.
    void put_file(std::string_view path, std::string_view bytes);
    /// The content of a simulated file; empty if there is none.
    std::optional<std::string> get_file(std::string_view path) const;
    /// The number of operations so far; sim_options::at_operation counts them.
    std::uint64_t operations() const noexcept;
    /// The number of calls so far; sim_options::at_call counts them.
    std::uint64_t calls() const noexcept;
    /// A hash of all operations and completions: equal if two runs did exactly the same.
    std::uint64_t trace() const noexcept;

private:
    struct watched;
    /// Tells the kernel which task fault::cancel_main cancels.
    class RONDO_API while_main {
    public:
        while_main(world& of, const task_handle& main);
        ~while_main();

    private:
        watched& of_;
    };
    std::unique_ptr<watched> watched_;
};

namespace detail {

template <class T>
T run_and_end(world& w, task<T> main) {
    if constexpr (std::is_void_v<T>) {
        w.run(std::move(main));
        w.end();
    } else {
        T value = w.run(std::move(main));
        w.end();
        return static_cast<T&&>(value);
    }
}

template <class Options, class F>
auto run_in(const Options& options, F& fn) {
    world w(options);
    return run_and_end(w, fn());
}

template <class F>
concept gives_task =
    std::is_invocable_v<F&> && rondo::detail::is_task<std::invoke_result_t<F&>>::value;

}  // namespace detail

/// Runs a task, or the task that a callable returns, on a simulated kernel. Returns its value.
/// Throws: the task's exception; deadlock_error if every task waits and nothing can wake one;
///         leak_error.
template <class T>
T simulate(task<T> main, const sim_options& options = {}) {
    world w(options);
    w.expect_fewer_frames(1);
    return detail::run_and_end(w, std::move(main));
}
template <detail::gives_task F>
auto simulate(F fn, const sim_options& options = {}) {
    return detail::run_in(options, fn);
}

/// Like simulate, but on the real ring and in real time.
/// Throws: as simulate; uring_unavailable.
template <class T>
T on_ring(task<T> main, const ring_options& options = {}) {
    world w(options);
    w.expect_fewer_frames(1);
    return detail::run_and_end(w, std::move(main));
}
template <detail::gives_task F>
auto on_ring(F fn, const ring_options& options = {}) {
    return detail::run_in(options, fn);
}

// -- every fault at every operation ---------------------------------------------------------------

/// Options of `sweep`.
struct sweep_options {
    unsigned seeds = 2;                         ///< each fault is tried with seeds 1 to `seeds`
    duration patience = std::chrono::hours(3);  ///< virtual time after which a run counts as hung
    sim_options run{};                          ///< of each run; seed and fault are replaced
};
static_assert(std::is_trivially_destructible_v<sweep_options>);

/// Counters that `sweep` returns.
struct sweep_count {
    std::uint64_t operations = 0;  ///< most operations of a run without a fault
    std::uint64_t calls = 0;       ///< most calls of a run without a fault
    std::uint64_t runs = 0;        ///< runs in total
    std::uint64_t failed = 0;      ///< runs that ended with an error, which is allowed
};

/// Runs of a sweep that were wrong. what() has one line for each, with the seed and the fault.
class RONDO_API sweep_error : public error {
public:
    using error::error;
    ~sweep_error() override;
};

namespace detail {

RONDO_API sweep_count sweep(task<> (*make)(void*), void* program, const sweep_options& options);

template <class T>
task<> without_value(task<T> program) {
    co_await std::move(program);
}

}  // namespace detail

/// Runs the task that `program` returns once without a fault, then once for each fault at each of
/// its operations and calls. The faults are an error (EIO, ECONNRESET, EINTR and others), a
/// cancelled operation, a short transfer, a delay of an hour, and a cancellation of the program.
///
/// Every run must end within `patience`, with a value, an error or by that cancellation, and leave
/// nothing behind. Reports to the exception handler, such as those of `serve`, are not failures. An
/// exception derived from std::logic_error is a failure: throw one if a result is wrong.
/// Throws: sweep_error if a run failed. A sweep stops after ten failures.
template <detail::gives_task F>
sweep_count sweep(F program, const sweep_options& options = {}) {
    const auto make = [](void* made_by) {
        return detail::without_value((*static_cast<F*>(made_by))());
    };
    return detail::sweep(make, &program, options);
}

/// True if the running loop runs on a simulated kernel.
RONDO_API bool simulated() noexcept;

// -- the network of the running loop, which must run on a simulated kernel ------------------------

/// Conditions of the simulated network, for data that is sent from now on.
struct network_conditions {
    rondo::detail::time_limit latency_least = std::chrono::microseconds(20);  ///< one way
    rondo::detail::time_limit latency_most = std::chrono::milliseconds(2);    ///< one way
    unsigned lost_percent = 0;        ///< of the datagrams
    unsigned duplicated_percent = 0;  ///< of the datagrams
    unsigned reordered_percent = 0;   ///< of the datagrams; they take up to four times as long
};
static_assert(std::is_trivially_destructible_v<network_conditions>);

/// Changes the conditions of the network.
/// Throws: invalid_state_error if the loop does not run on a simulated kernel.
RONDO_API void set_network(const network_conditions& conditions);
/// Cuts an endpoint off from the network. Connects to it wait, bytes of streams to and from it
/// wait, and datagrams are lost. Port 0 means the whole host.
/// Throws: as set_network.
RONDO_API void cut_off(const endpoint& part);
/// Undoes cut_off of this endpoint: streams continue, and connects are answered.
/// Throws: as set_network.
RONDO_API void restore(const endpoint& part);
/// Resets every TCP connection: both ends fail with ECONNRESET.
/// Throws: as set_network.
RONDO_API void reset_connections();

}  // namespace testing
}  // namespace v0
}  // namespace rondo
