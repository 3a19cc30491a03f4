// SPDX-License-Identifier: MIT
// Tests of programs that use rondo: a test body is a coroutine, and it runs on a simulated kernel,
// on virtual time, out of a seed. A whole network takes microseconds, ten hours of timers take
// none, and a failure comes back with its seed.
//
//     rondo::testing::simulate([]() -> rondo::task<> {
//         co_await rondo::sleep(10h);
//     });
//
// Whoever ends a run is asked what is left of it: frames, operations, timers, tasks, descriptors,
// threads, children that nobody has waited for. What remains is a failure, as is an error that
// nobody has seen. A run that takes too much real time says which tasks wait where, and aborts.
//
// No test framework is needed here, and none is known: everything that goes wrong is an exception.
// The project's own tests bind it to Catch2 in tests/support/rondo_test.hpp, a page that can be copied.
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

/// Something outlived its test, or an error of it was never looked at. what() has a line for each.
class RONDO_API leak_error : public error {
public:
    using error::error;
    ~leak_error() override;
};

/// What befalls one operation of a simulated kernel.
enum class fault : std::uint8_t {
    none,
    error,           ///< fails with sim_options::error_number, nothing was done
    cancel,          ///< ends with ECANCELED, nothing was done
    short_transfer,  ///< moves sim_options::short_length bytes at most
    delay,           ///< begins an hour later
    cancel_main,     ///< begins as ever, and the task of world::run is asked to stop meanwhile
};

/// How a simulated run is made.
struct sim_options {
    std::uint64_t seed =
        1;  ///< latencies, short transfers and the order of completions come from it
    fault what = fault::none;        ///< befalls ...
    std::uint64_t at_operation = 0;  ///< ... the operation of this number (see world::operations)
    std::uint64_t at_call = ~std::uint64_t(0);  ///< fails: a call that is no operation, such as
                                                ///< socket(2) (see world::calls)
    int error_number = EIO;                     ///< an errno, for fault::error and for at_call
    std::uint32_t short_length = 1;             ///< for fault::short_transfer
    /// Bytes that all simulated files together may have: a write beyond that is short, and the next
    /// one ENOSPC.
    std::uint64_t disk_size = ~std::uint64_t(0);
    rondo::detail::time_limit limit =
        std::chrono::seconds(5);  ///< of real time; RONDO_SLOW in the environment multiplies it
    loop_options loop{.timer_slack = duration(0)};
};
static_assert(std::is_trivially_destructible_v<sim_options>);

/// How a run on the real ring is made.
struct ring_options {
    rondo::detail::time_limit limit = std::chrono::seconds(5);
    loop_options loop{};
};
static_assert(std::is_trivially_destructible_v<ring_options>);

/// The seeds that a test should run with: 1 to `count`, RONDO_SEEDS times as many, or RONDO_SEED
/// alone where that is set in the environment.
RONDO_API std::vector<std::uint64_t> seeds(unsigned count = 5);

/// From now on each new ring does without what Linux "6.1" or "5.19" did not have; "" undoes it.
/// Throws: std::invalid_argument for any other version.
RONDO_API void pretend_kernel(std::string_view version);
/// The same with what RONDO_PRETEND says, if it says anything.
RONDO_API void pretend_kernel_from_environment();

/// What there was when it was made, so that one can ask later what has been added.
/// Thread: the one that it was made on.
class RONDO_API leak_probe {
public:
    leak_probe();
    /// A line for each thing that is there and was not then; empty where nothing is. Threads that
    /// are about to end get a moment to do so.
    std::string leaks() const;
    /// So many of the frames that were there will be gone.
    void expect_fewer_frames(std::size_t count) noexcept { frames_ -= count; }

private:
    std::size_t frames_;
    std::vector<int> descriptors_;
    std::size_t threads_;
};

/// A loop of its own on a kernel of its own, watched: the inside of `simulate` and `on_ring`, for
/// tests that want to look at it from outside.
/// Thread: one.
class RONDO_API world {
public:
    explicit world(const sim_options& options);
    /// Throws: uring_unavailable.
    explicit world(const ring_options& options);
    ~world();
    world(const world&) = delete;
    world& operator=(const world&) = delete;

    rondo::loop& loop() noexcept;

    /// Runs `main` to its end; other tasks stay.
    template <class T>
    T run(task<T> main) {
        auto running = loop().create_task(std::move(main));
        const while_main mark(*this, running);
        return loop().run_until_complete(std::move(running));
    }

    /// Ends the loop and destroys it.
    /// Throws: leak_error where something is left.
    void end();

    /// So many of the frames that were there before belong to the run.
    void expect_fewer_frames(std::size_t count) noexcept;

    // -- where the kernel is a simulated one ------------------------------------------------------
    void put_file(std::string_view path, std::string_view bytes);
    std::optional<std::string> get_file(std::string_view path) const;
    /// Operations so far: what sim_options::at_operation counts.
    std::uint64_t operations() const noexcept;
    /// Calls so far: what sim_options::at_call counts.
    std::uint64_t calls() const noexcept;
    /// Equal for runs in which everything happened equally.
    std::uint64_t trace() const noexcept;

private:
    struct watched;
    /// Whom fault::cancel_main means.
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

/// Runs a task, or what a callable gives, on a simulated kernel, and returns its value.
/// Throws: what it throws; deadlock_error where nothing can ever happen again; leak_error.
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

/// The same on the real ring and in real time.
/// Throws: also uring_unavailable.
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

/// How `sweep` goes about it.
struct sweep_options {
    unsigned seeds = 2;                         ///< each fault is tried with seeds 1 to `seeds`
    duration patience = std::chrono::hours(3);  ///< of virtual time; a run that takes longer hangs
    sim_options run{};                          ///< of each run; seed and fault are replaced
};
static_assert(std::is_trivially_destructible_v<sweep_options>);

/// What `sweep` has done.
struct sweep_count {
    std::uint64_t operations = 0;  ///< of one run without a fault, at most
    std::uint64_t calls = 0;       ///< the same of calls
    std::uint64_t runs = 0;
    std::uint64_t failed = 0;  ///< runs that ended with an error, which a fault may cause
};

/// Runs that went wrong. what() has a line for each, which says how to repeat it.
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

/// Runs what `program` gives without a fault, then again and again, each time with one fault at one
/// of its operations or calls: an error (EIO, ECONNRESET, EINTR and others), a cancelled operation,
/// a short transfer, a delay of an hour, the cancellation of the whole program.
///
/// Every run must end within `patience`, with a value, an error or by that cancellation, and leave
/// nothing behind. Reports to the exception handler, such as those of `serve`, are no failure.
/// An error derived from std::logic_error is one: throw that if a result is wrong.
/// Throws: sweep_error.
template <detail::gives_task F>
sweep_count sweep(F program, const sweep_options& options = {}) {
    const auto make = [](void* made_by) {
        return detail::without_value((*static_cast<F*>(made_by))());
    };
    return detail::sweep(make, &program, options);
}

/// Does the running loop run on a simulated kernel?
RONDO_API bool simulated() noexcept;

// -- the network of the running loop, which must be a simulated one -------------------------------

/// What the network does to what is sent from now on.
struct network_conditions {
    rondo::detail::time_limit latency_least = std::chrono::microseconds(20);  ///< one way
    rondo::detail::time_limit latency_most = std::chrono::milliseconds(2);
    unsigned lost_percent = 0;        ///< of the datagrams
    unsigned duplicated_percent = 0;  ///< of the datagrams
    unsigned reordered_percent = 0;   ///< of the datagrams; they take up to four times as long
};
static_assert(std::is_trivially_destructible_v<network_conditions>);

/// Throws: invalid_state_error where the kernel is the real one; so do those below.
RONDO_API void set_network(const network_conditions& conditions);
/// From now on `part` has no answer for anybody: connects to it wait, as do the bytes of streams to
/// it and from it, and datagrams are gone. Port 0 means the whole host.
RONDO_API void cut_off(const endpoint& part);
/// Undoes the same cut_off: streams go on where they were, connects are answered.
RONDO_API void restore(const endpoint& part);
/// Every TCP connection is gone, and both its ends read ECONNRESET.
RONDO_API void reset_connections();

}  // namespace testing
}  // namespace v0
}  // namespace rondo
