// SPDX-License-Identifier: MIT
// select: waits for several things at once, and says which of them has come.
//
//     for (;;) {
//         auto what = co_await rondo::select(stop.wait(), every.tick(), jobs.next());
//         if (what.index() == 0) break;
//         if (what.index() == 1) beat();
//         if (what.index() == 2) work(std::get<2>(what));
//     }
//
// A wait of rondo that loses has taken nothing. An item stays in its queue, a connection stays with
// its listener, a tick stays due, and bytes that the kernel has already given go back to their
// stream. So a loop of selects loses nothing. A task that loses is cancelled like any other: what
// it has taken before is its own affair.
//
// If several are ready at once, the first argument wins. So the rare and the urgent come first: a
// stop, then a beat, then the work. A wait that is always ready starves those after it, not those
// before it.
//
// If a wait is ready at the start, no task is started: the arguments are asked in their order
// whether they would suspend. That goes up to the first argument that cannot be asked, a task or an
// operation of the kernel. Only if none is ready each one gets a child task.
#pragma once

#include <rondo/config.hpp>

#include <coroutine>
#include <cstddef>
#include <iterator>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <rondo/async_generator.hpp>
#include <rondo/detail/compose/first_of.hpp>
#include <rondo/shield.hpp>

namespace rondo {
inline namespace v0 {

namespace detail {

template <class A>
using awaiter_of = decltype(std::declval<A>().rondo_awaiter());

/// The awaiter says whether it would suspend, and may be dropped if it would. It has taken nothing
/// then. (If the task's budget is spent, it may have; so the budget is checked before.)
template <class A>
concept can_be_asked = native_awaitable<A> && requires { requires awaiter_of<A>::can_be_asked; };

/// True if the wait would not suspend.
template <class Awaiter>
bool ask(Awaiter& awaiter) {
    if constexpr (requires { awaiter.is_due(); })
        return awaiter.await_ready() || awaiter.is_due();
    else
        return awaiter.await_ready();
}

/// As to_task. A wait for a moment that has passed ends at once there: it does not let the later
/// arguments go first.
template <class A>
task<awaited_t<A>> to_candidate(A awaitable) {
    if constexpr (requires(awaiter_of<A>& w) { w.is_due(); }) {
        auto first = std::move(awaitable).rondo_awaiter();
        if (ask(first)) co_return first.await_resume();
    }
    co_return co_await std::move(awaitable);
}
template <class T>
task<T> to_candidate(task<T> t) noexcept {
    return t;
}
template <class T>
task<T> to_candidate(guarded_task<T> t) noexcept {
    return std::move(t);
}

template <class... A>
using selected_of = std::variant<or_monostate<awaited_t<std::decay_t<A>>>...>;

/// Keeps the task of a future that the caller goes on to hold: it runs on if it loses.
template <class A>
struct kept_if_held {
    void keep(const std::decay_t<A>&) noexcept {}
};
template <class T>
struct kept_if_held<future<T>&> {
    void keep(const future<T>& held) { keeper.emplace(future_core(held)); }
    std::optional<future_keeper> keeper;
};
template <class T>
struct kept_if_held<const future<T>&> : kept_if_held<future<T>&> {};

/// `A` are references for arguments that the caller holds.
template <class... A>
task<selected_of<A...>> select_later(std::tuple<std::decay_t<A>...>& awaitables);

/// The awaiter of select. It awaits a task if no argument is ready, or if other tasks run first.
template <class... A>
class select_awaiter : task_awaiter_base {
public:
    explicit select_awaiter(std::tuple<std::decay_t<A>...>& awaitables) noexcept
        : task_awaiter_base(nullptr), awaitables_(&awaitables) {}

    bool await_ready() { return ask_from<0>(); }
    void await_suspend(std::coroutine_handle<> from, location at = location::current()) {
        const auto start = [this](std::decay_t<A>&... awaitables) {
            std::apply([&](auto&... each) { (each.keep(awaitables), ...); }, kept_);
            return first_of<selected_of<A...>>("select", children::others::end_on_end,
                                               to_candidate(std::move(awaitables))...);
        };
        child = may_ask() ? &std::apply(start, *awaitables_).release()
                          : &select_later<A...>(*awaitables_).release();
        task_awaiter_base::await_suspend(from, at);
    }
    selected_of<A...> await_resume() {
        if (child == nullptr) return std::move(*ready_);
        return static_cast<task_promise<selected_of<A...>>*>(child)->take();
    }

private:
    template <std::size_t I>
    using candidate = std::tuple_element_t<I, std::tuple<std::decay_t<A>...>>;

    /// False if the task has done so much that other tasks run before it goes on.
    static bool may_ask() noexcept { return here.budget > 1; }

    template <std::size_t I>
    bool ask_from() {
        if constexpr (I == sizeof...(A)) {
            return false;
        } else if constexpr (can_be_asked<candidate<I>>) {
            return may_ask() && (take_if_ready<I>() || ask_from<I + 1>());
        } else {
            return false;
        }
    }
    template <std::size_t I>
    bool take_if_ready() {
        auto awaiter = std::move(std::get<I>(*awaitables_)).rondo_awaiter();
        if (!ask(awaiter)) return false;
        if constexpr (std::is_void_v<decltype(awaiter.await_resume())>) {
            awaiter.await_resume();
            ready_.emplace(std::in_place_index<I>);
        } else {
            ready_.emplace(std::in_place_index<I>, awaiter.await_resume());
        }
        return true;
    }

    std::tuple<std::decay_t<A>...>* awaitables_;
    [[no_unique_address]] std::tuple<kept_if_held<A>...> kept_;
    std::optional<selected_of<A...>> ready_;
};

template <class... A>
struct asking_again : only_in_tasks {
    explicit asking_again(std::tuple<std::decay_t<A>...>& given) noexcept : awaitables(&given) {}
    select_awaiter<A...> rondo_awaiter() const noexcept {
        return select_awaiter<A...>(*awaitables);
    }
    std::tuple<std::decay_t<A>...>* awaitables;
};

/// Lets other tasks run, then selects.
template <class... A>
task<selected_of<A...>> select_later(std::tuple<std::decay_t<A>...>& awaitables) {
    co_await yield_now();
    co_return co_await asking_again<A...>(awaitables);
}

/// The awaitable of select; awaited once. `A` are references for arguments that the caller holds.
template <class... A>
class [[nodiscard("a select does nothing until it is awaited")]] selecting : only_in_tasks {
public:
    explicit selecting(std::decay_t<A>... awaitables) : awaitables_(std::move(awaitables)...) {}
    select_awaiter<A...> rondo_awaiter() noexcept { return select_awaiter<A...>(awaitables_); }

private:
    std::tuple<std::decay_t<A>...> awaitables_;
};

/// `next`, `send` or `throw_in` of an async_generator.
template <class A>
inline constexpr bool is_next_of_generator = false;
template <native_awaitable A>
inline constexpr bool is_next_of_generator<A> = std::is_base_of_v<async_next, awaiter_of<A>>;

template <class... A>
inline constexpr bool can_be_selected =
    sizeof...(A) > 0 && can_be_gathered<A...> && !(is_next_of_generator<std::decay_t<A>> || ...);

}  // namespace detail

/// Runs all awaitables concurrently until the first of them ends; the others are cancelled and
/// awaited. Returns a std::variant with one alternative per argument (std::monostate for void):
/// `index()` says which one has ended, `std::get<i>` gives its value. If several are ready at once,
/// the first in argument order wins; otherwise the first to end wins.
///
/// A wait of rondo that loses has taken nothing, and may be selected again. That does not hold for
/// a `put`, whose item is dropped with it, and for a `write_all` that has written a part. The task
/// of a future that is passed by its name runs on if it loses, and may be selected again.
/// Throws: the error of the first to end, as the type it is; errors that the others end with go to
///         the exception handler.
/// Cancel: cancels all and awaits their end; if one gave a value nevertheless, returns its value.
/// See:    Go's select, tokio::select!; race, whose type depends on those of the arguments.
template <class... A>
    requires(detail::awaitable<std::decay_t<A>> && ...) && detail::can_be_selected<A...>
detail::selecting<A...> select(A&&... awaitables) {
    return detail::selecting<A...>(std::forward<A>(awaitables)...);
}

namespace detail {

template <class R>
using selected_element = std::pair<std::size_t, or_monostate<awaited_t<element<R>>>>;

template <class R>
task<selected_element<R>> select_range(R awaitables) {
    children group("select", children::others::end_on_end);
    std::vector<started<element<R>>> running;
    start_some("select", group, running, awaitables);
    co_await group.ended();
    if (group.winner() == nullptr) group.rethrow();
    const std::size_t place = winners_place(group, running);
    co_return selected_element<R>(place, moved(running[place]));
}

template <class A>
inline constexpr bool is_future = false;
template <class T>
inline constexpr bool is_future<future<T>> = true;

template <class R>
auto shields_of(const R& futures) {
    std::vector<decltype(shield(*std::begin(futures)))> all;
    for (const auto& each : futures) all.push_back(shield(each));
    return all;
}

}  // namespace detail

/// The same for a range of awaitables of one type. Returns a pair: the place of the one that has
/// ended, and its value (std::monostate for void). Futures in a range that has a name run on if
/// they lose.
/// Throws: also std::invalid_argument if the range is empty.
template <detail::kept_range R>
auto select(R&& awaitables) {
    if constexpr (std::is_lvalue_reference_v<R> && detail::is_future<detail::element<R>>)
        return detail::select_range(detail::shields_of(awaitables));
    else
        return detail::select_range<std::remove_cvref_t<R>>(std::forward<R>(awaitables));
}
template <class... A>
    requires(!detail::can_be_selected<A...>)
auto select(A&&...) {
    static_assert(sizeof...(A) > 0, "select needs at least one awaitable");
    static_assert(!(detail::is_next_of_generator<std::decay_t<A>> || ...),
                  "a generator that loses a select would end: let a task put its items into a "
                  "rondo::queue, and select the queue's next()");
    if constexpr (sizeof...(A) == 0 || (detail::is_next_of_generator<std::decay_t<A>> || ...))
        return detail::refused_call{};
    else
        return detail::refuse_awaitables<A...>();
}

}  // namespace v0
}  // namespace rondo
