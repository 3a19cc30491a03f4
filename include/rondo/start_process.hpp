// SPDX-License-Identifier: MIT
// A plain function in a process of its own, that runs as long as it likes:
//
//     void work(rondo::ipc_queue<std::string> jobs, int level);
//
//     int main(int argc, char** argv) {
//         if (rondo::process_worker(argc, argv)) return 0;
//         rondo::ipc_queue<std::string> jobs(1 << 20);
//         rondo::process worker = rondo::start_process(work, jobs, 3);
//         ...
//         const int code = worker.join();        // in a task: co_await worker.wait()
//
// The process is this program, started again, and not a fork: see process_pool.hpp. The first line
// of main turns it off to the function, whose arguments are sent as bytes (serialize.hpp). Objects
// that stand for an open descriptor (ipc_queue, ipc_channel, shared_memory, tcp_listener,
// unix_listener) are sent as such: both processes have the object then.
//
// For many short calls, or for results, use a process_pool.
#pragma once

#include <concepts>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <rondo/detail/multiprocess/process_job.hpp>
#include <rondo/process.hpp>

namespace rondo {
inline namespace v0 {

/// Options of start_process.
struct process_options {
    /// Name for messages and for ps, which shows its first 15 bytes; empty: "process-1" and so on.
    std::string_view name = {};
    /// A daemon ends with the parent. When its `process` goes, it is asked to end (SIGTERM), killed
    /// after 2 s, and the loop waits for that; without a loop it is killed at once. It is also
    /// killed when the thread that started it ends, and when this process ends, in whatever way.
    bool daemon = false;
};
static_assert(std::is_trivially_destructible_v<process_options>);

namespace detail {

/// Stands for an open descriptor, and can be made again from an inherited number.
template <class T>
concept inheritable = requires(const T& handle, int number) {
    { handle.number() } -> std::same_as<int>;
    { T::adopt(number) } -> std::same_as<T>;
};

/// How an argument for a parameter of type P travels: `sent` as bytes, `value` in the new process.
template <class P, bool = inheritable<std::remove_cvref_t<P>>>
struct started_argument {
    using sent = sent_t<P>;
    using value = sent;

    template <class A>
    static sent pack(A&& argument, std::vector<int>&) {
        return sent(std::forward<A>(argument));
    }
    static value unpack(sent& from) { return std::move(from); }
    template <class A>
    static void hand_over(A&&) noexcept {}
};
template <class P>
struct started_argument<P, true> {
    using sent = int;
    using value = std::remove_cvref_t<P>;

    static int pack(const value& argument, std::vector<int>& kept) {
        return kept.emplace_back(argument.number());
    }
    static value unpack(int number) { return value::adopt(number); }
    /// Closes an argument that was moved in: it now is the new process's.
    static void hand_over(value&& argument) { const value gone(std::move(argument)); }
    static void hand_over(const value&) noexcept {}
};

/// In the new process: makes the call; `result` gets the exit code, or nothing for 0.
template <class F, class R, class... P>
void invoke_started(any_function fn, std::string_view arguments, std::string& result) {
    auto sent = deserialize<std::tuple<typename started_argument<P>::sent...>>(arguments);
    const auto unpack = [](auto&... each) {
        return std::tuple<typename started_argument<P>::value...>{
            started_argument<P>::unpack(each)...};
    };
    auto values = std::apply(unpack, sent);
    if constexpr (std::is_void_v<R>)
        call_sent<F, P...>(fn, values);
    else
        serialize<int>(call_sent<F, P...>(fn, values), result);
}

/// Starts the process of a packed call, which inherits the descriptors `kept`.
RONDO_API process start_packed(const process_options& options, const packed_call& call,
                               const std::vector<int>& kept);

template <class F, class R, class... P, class... Args>
process start_as(const process_options& options, signature_of_call<R, P...>, const F& fn,
                 Args&&... args) {
    static_assert(sizeof...(P) == sizeof...(Args),
                  "start_process was given too many or too few arguments for the function");
    static_assert(std::is_void_v<R> || std::is_same_v<R, int>,
                  "a process has no result except its exit code: the function returns int or void; "
                  "for another result use process_pool::submit, or send it through an ipc_channel; "
                  "a coroutine is run by rondo::run inside the function");
    packed_call call = address_call_of(invoke_started<F, R, P...>, fn);
    std::vector<int> kept;
    const std::tuple<typename started_argument<P>::sent...> sent{
        started_argument<P>::pack(std::forward<Args>(args), kept)...};
    serialize(sent, call.bytes);
    process started = start_packed(options, call, kept);
    (started_argument<P>::hand_over(std::forward<Args>(args)), ...);
    return started;
}

}  // namespace detail

/// Starts a process that calls `fn(args...)`. `fn` is a function, or a lambda without captures. It
/// has the standard output and error of this process, /dev/null as standard input, and the default
/// handling of signals: Ctrl-C ends it, unless it runs a loop.
///
/// The exit code is the int that `fn` returns; 0 if it returns void; 1 if it throws: then the
/// exception is written to standard error. As after a return of main, std::exit runs what is
/// registered for the end of the process.
///
/// An object that stands for a descriptor is shared with the process; if it is moved in, this
/// process closes it. Such an argument needs a parameter of its own: it cannot be a part of
/// another value.
/// Returns: the running process. Without `daemon` it goes on if this object goes, and also if this
///          program ends, as a program does that `command` started: wait for it.
/// Throws:  invalid_state_error if main has not called process_worker; std::system_error;
///          limit_error for arguments of more than 64 MiB; error if the function is in no module.
/// See:     multiprocessing.Process.
template <class F, class... Args>
[[nodiscard("a process that is dropped goes on, and a daemon is ended")]] process start_process(
    process_options options, F&& fn, Args&&... args) {
    using types = detail::plain_signature<F, Args...>;
    return detail::start_as<std::decay_t<F>>(options, types(), fn, std::forward<Args>(args)...);
}
template <class F, class... Args>
    requires(!std::is_convertible_v<F, process_options>)
[[nodiscard("a process that is dropped goes on, and a daemon is ended")]] process start_process(
    F&& fn, Args&&... args) {
    return rondo::start_process(process_options(), std::forward<F>(fn),
                                std::forward<Args>(args)...);
}

}  // namespace v0
}  // namespace rondo
