// SPDX-License-Identifier: MIT
// A call that runs in another process: how it is packed, and its job object in this process.
//
// Two functions are sent: the user's, and `invoke` below, which knows the types. It deserializes
// the arguments, makes the call, and serializes the result. Each function is sent as the build-id
// of its module and its offset in that module. So a worker needs no list of functions, and the user
// registers none.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include <rondo/detail/base/intrusive_list.hpp>
#include <rondo/detail/thread/pool_map.hpp>
#include <rondo/serialize.hpp>
#include <rondo/thread_future.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

using any_function = void (*)();
/// Reads arguments, makes the call, appends the result to `result`.
using process_invoker = void (*)(any_function fn, std::string_view arguments, std::string& result);

class process_manager;

/// A call, ready to be sent.
struct packed_call {
    any_function invoker = nullptr;
    any_function fn = nullptr;  // null if `invoker` makes the function object itself
    std::string bytes;          // the frame's body
};

/// The untyped part of a job. The submitting thread makes it. The pool owns it until it is
/// finished, and so does each holder of its future.
class RONDO_API process_job {
public:
    process_job(const process_job&) = delete;
    process_job& operator=(const process_job&) = delete;

    // -- for the pool; only on its manager's thread -----------------------------------------------
    virtual thread_core& state() noexcept = 0;
    /// Finishes the job with the worker's answer.
    virtual void succeed(std::string_view result) noexcept = 0;

    packed_call call;
    duration timeout = duration::max();

    list_links<process_job> in_queue;
    std::uint64_t number = 0;         // 0: the manager has not seen it yet
    unsigned lost = 0;                // workers that died while they ran it
    unsigned unread = 0;              // workers that died before they had read it
    bool begun = false;
    call_handle timer;

protected:
    process_job() noexcept;
    virtual ~process_job();
    /// Adds an owner: a post that is in flight.
    virtual void add_owner() noexcept = 0;
    virtual void drop_owner() noexcept = 0;
    /// Tells the manager that the job was cancelled. False if the manager's loop has ended.
    bool post_stop() noexcept;
    /// The identity of the manager's loop, on whose thread done callbacks run.
    const void* loop_identity() const noexcept;

private:
    friend class process_manager;
    preallocated_post enqueue_;
    preallocated_post stop_;
    std::atomic<bool> stop_posted_{false};
    std::shared_ptr<process_manager> home_;
};

/// Hands the job to the pool. If it throws, the job has been released.
RONDO_API void submit_job(process_manager& pool, process_job& job, packed_call call,
                          duration timeout);
RONDO_API std::size_t workers_max_of(const process_manager& pool) noexcept;

/// The call of a function that returns R.
template <class R>
class process_call final : public given_state<R>, public process_job {
public:
    thread_core& state() noexcept override { return *this; }
    void succeed(std::string_view result) noexcept override {
        this->finish(keep_outcome(*this, [&]() -> R {
            if constexpr (!std::is_void_v<R>) return deserialize<R>(result);
        }));
    }

private:
    bool depends_on(const void* what) const noexcept override { return what == loop_identity(); }
    bool cancel_unbegun() noexcept override {
        if (!this->end_unbegun()) return false;
        post_stop();
        return true;
    }
    bool ask_to_stop() noexcept override { return post_stop(); }
    void add_owner() noexcept override { this->add_giver(); }
    void drop_owner() noexcept override { this->drop_giver(); }
};

// -- types ----------------------------------------------------------------------------------------

/// The type that is sent for a parameter: its value. For a string_view, a std::string is sent.
template <class P>
struct sent {
    using type = std::decay_t<P>;
    static_assert(
        !std::is_pointer_v<type>,
        "rondo cannot send a pointer, which is invalid in another process; send the value that it "
        "points to");
    static_assert(
        !std::is_lvalue_reference_v<P> || std::is_const_v<std::remove_reference_t<P>>,
        "rondo cannot run a function that takes T& there: it would change a copy in another "
        "process");
};
template <>
struct sent<std::string_view> {
    using type = std::string;
};
template <>
struct sent<const std::string_view&> {
    using type = std::string;
};
template <class P>
using sent_t = typename sent<P>::type;

/// The types of a function pointer, or of the call operator of a class without members.
template <class R, class... P>
struct signature_of_call {
    using result = std::decay_t<R>;
};
template <class F>
struct signature_of;
template <class R, class... P>
struct signature_of<R (*)(P...)> : signature_of_call<R, P...> {};
template <class R, class... P>
struct signature_of<R (*)(P...) noexcept> : signature_of_call<R, P...> {};
template <class C, class R, class... P>
struct signature_of<R (C::*)(P...)> : signature_of_call<R, P...> {};
template <class C, class R, class... P>
struct signature_of<R (C::*)(P...) noexcept> : signature_of_call<R, P...> {};
template <class C, class R, class... P>
struct signature_of<R (C::*)(P...) const> : signature_of_call<R, P...> {};
template <class C, class R, class... P>
struct signature_of<R (C::*)(P...) const noexcept> : signature_of_call<R, P...> {};

template <class F>
inline constexpr bool is_function_pointer =
    std::is_pointer_v<F>&& std::is_function_v<std::remove_pointer_t<F>>;

/// The signature of F when it is called with arguments of the types Args.
template <class F, class... Args>
auto signature_for() {
    static_assert(
        is_function_pointer<F> || std::is_class_v<F>,
        "another process runs functions, and lambdas without captures; wrap anything else in "
        "such a lambda");
    static_assert(
        is_function_pointer<F> || (std::is_empty_v<F> && std::is_default_constructible_v<F>),
        "rondo cannot send a lambda with captures to another process; pass the captured values as "
        "arguments");
    if constexpr (is_function_pointer<F>)
        return signature_of<F>();
    else if constexpr (requires { &F::operator(); })
        return signature_of<decltype(&F::operator())>();
    else
        return signature_of_call<std::invoke_result_t<F&, Args...>, Args...>();
}
template <class F, class... Args>
using signature = decltype(signature_for<std::decay_t<F>, std::decay_t<Args>...>());

// -- in the worker --------------------------------------------------------------------------------

/// Calls F: the received pointer `fn`, or a new object of a class without members. `values` is a
/// tuple of the values of its parameters.
template <class F, class... P, class Values>
decltype(auto) call_sent([[maybe_unused]] any_function fn, Values& values) {
    if constexpr (is_function_pointer<F>) {
        const auto call = [target = reinterpret_cast<F>(fn)](auto&... value) -> decltype(auto) {
            return target(static_cast<P&&>(value)...);
        };
        return std::apply(call, values);
    } else {
        return std::apply(
            [](auto&... value) -> decltype(auto) { return F()(static_cast<P&&>(value)...); },
            values);
    }
}

template <class F, class R, class... P>
void invoke(any_function fn, std::string_view arguments, std::string& result) {
    auto values = deserialize<std::tuple<sent_t<P>...>>(arguments);
    if constexpr (std::is_void_v<R>) {
        call_sent<F, P...>(fn, values);
    } else {
        const R value = call_sent<F, P...>(fn, values);
        serialize(value, result);
    }
}

/// Like invoke, for each tuple of a chunk.
template <class F, class R, class... P>
void invoke_chunk(any_function fn, std::string_view arguments, std::string& result) {
    auto chunk = deserialize<std::vector<std::tuple<sent_t<P>...>>>(arguments);
    std::vector<value_or_monostate<R>> results;
    results.reserve(chunk.size());
    for (auto& values : chunk) {
        if constexpr (std::is_void_v<R>) {
            call_sent<F, P...>(fn, values);
            results.emplace_back();
        } else {
            results.push_back(call_sent<F, P...>(fn, values));
        }
    }
    serialize(results, result);
}

// -- in the parent --------------------------------------------------------------------------------

/// Returns: the beginning of a call's body, which names both functions.
/// Throws:  error if a function is in no module.
RONDO_API std::string address_call(any_function invoker, any_function fn);

template <class F>
packed_call address_call_of(process_invoker invoker, const F& fn) {
    packed_call call;
    call.invoker = reinterpret_cast<any_function>(invoker);
    if constexpr (is_function_pointer<F>) call.fn = reinterpret_cast<any_function>(fn);
    call.bytes = address_call(call.invoker, call.fn);
    return call;
}

template <class F, class R, class... P, class... Args>
packed_call pack_call_as(signature_of_call<R, P...>, const F& fn, Args&&... args) {
    static_assert(sizeof...(P) == sizeof...(Args),
                  "a process pool was given too many or too few arguments for the function");
    packed_call call = address_call_of(invoke<F, R, P...>, fn);
    const std::tuple<sent_t<P>...> values(std::forward<Args>(args)...);
    serialize(values, call.bytes);
    return call;
}

template <class R>
thread_future<R> submit_call(process_manager& pool, packed_call call, duration timeout) {
    auto* job = new process_call<R>();
    thread_future<R> future(job);
    submit_job(pool, *job, std::move(call), timeout);
    return future;
}

template <class F, class... Args>
packed_call pack_call(F&& fn, Args&&... args) {
    return pack_call_as<std::decay_t<F>>(signature<F, Args...>(), fn, std::forward<Args>(args)...);
}

template <class F, class Signature>
class process_launch;
/// Launches one job for each chunk of arguments of a `map`.
template <class F, class R, class... P>
class process_launch<F, signature_of_call<R, P...>> {
public:
    process_launch(std::shared_ptr<process_manager> pool, const F& fn) noexcept
        : pool_(std::move(pool)), fn_(fn) {}

    template <class Arguments>
    auto operator()(std::vector<Arguments> chunk) {
        packed_call call = address_call_of(invoke_chunk<F, R, P...>, fn_);
        std::vector<std::tuple<sent_t<P>...>> sent;
        sent.reserve(chunk.size());
        for (Arguments& each : chunk) sent.emplace_back(std::move(each));
        serialize(sent, call.bytes);
        return submit_call<std::vector<value_or_monostate<R>>>(*pool_, std::move(call),
                                                               duration::max());
    }
    std::size_t workers() const noexcept { return workers_max_of(*pool_); }

private:
    std::shared_ptr<process_manager> pool_;
    [[no_unique_address]] F fn_;
};

template <class R, class... P>
signature_of_call<R, P...> base_of(signature_of_call<R, P...>);
/// The signature_of_call itself; `signature` may be a class derived from it.
template <class F, class... Args>
using plain_signature = decltype(base_of(signature<F, Args...>()));

}  // namespace detail
}  // namespace v0
}  // namespace rondo
