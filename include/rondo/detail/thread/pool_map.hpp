// SPDX-License-Identifier: MIT
// The type that `map` of the pools returns: a call for each element of ranges, lazy and bounded.
#pragma once

#include <cstddef>
#include <iterator>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include <rondo/detail/coroutine/gcc12.hpp>
#include <rondo/detail/thread/blocking_iterator.hpp>
#include <rondo/detail/thread/pool_window.hpp>

namespace rondo {
inline namespace v0 {

/// The results of the calls. Read all of them (`co_await`, or `get()` on a plain thread), or one
/// after the other (`co_await m.next()`, or `m.blocking_next()`). They come in the order of the
/// elements, unless `as_completed`. No call is made before the first result is requested. The
/// ranges that it references must outlive it.
/// Throws: the exception of a call, in its place; queued jobs are cancelled, running ones are asked
///         to stop and dropped, and the map has ended. The exceptions of submit.
/// Cancel: awaited whole: queued jobs are cancelled; running ones are dropped, and stop before
///         their next call. `next`: leaves at once and loses nothing; the next call of `next` gives
///         the same result.
/// See:    concurrent.futures.Executor.map.
template <class R, bool Hazard, class Launch, class... Ranges>
class [[nodiscard("a map calls nothing until its results are asked for")]] pool_map
    : public detail::only_in_tasks {
    static_assert(sizeof...(Ranges) > 0, "map needs at least one range");
    using window = detail::pool_window<R, Launch, Ranges...>;
    using stored = typename window::stored;

public:
    using value_type = stored;
    using whole = std::conditional_t<std::is_void_v<R>, void, std::vector<stored>>;

    pool_map(Launch launch, Ranges&&... ranges)
        : window_(std::move(launch), std::forward<Ranges>(ranges)...) {}

    // -- options, before the first result is requested --------------------------------------------
    /// Puts `elements` elements into one job. Use it if a call takes less than about 20 µs.
    pool_map chunk(std::size_t elements) && { return change(window_.chunk, elements); }
    /// Runs at most `jobs` jobs ahead. The default is two per thread.
    pool_map buffer(std::size_t jobs) && { return change(window_.ahead, jobs); }
    /// Gives the results in the order of completion. The results of one chunk stay together.
    pool_map as_completed(bool whether = true) && {
        window_.in_order = !whether;
        return std::move(*this);
    }

    // -- tasks ------------------------------------------------------------------------------------
    /// The next result; empty at the end.
    task<std::optional<stored>> next() {
        while (!window_.has_result()) {
            if (!window_.launch()) co_return std::nullopt;
            if (!window_.head()) {
                window_.head() = co_await window_.line()->next();
                window_.line()->release(*window_.head());
            }
            try {
                co_await window_.at_head();
            } catch (const cancelled&) {
                throw;
            } catch (...) {  // the call's own error: take() throws it
            }
            window_.take();
        }
        co_return window_.pop();
    }
    /// All results.
    auto rondo_awaiter() && {
        static_assert(!Hazard,
                      "g++ 12 destroys a temporary closure that owns something twice inside a "
                      "co_await: name what `map` returns on a line of its own and co_await that "
                      "name (docs/gcc12.md)");
        return detail::task_awaiter<whole>(&collect().release());
    }
    auto rondo_awaiter() & { return detail::task_awaiter<whole>(&collect().release()); }

    // -- plain threads ----------------------------------------------------------------------------
    /// The next result; blocks until it is there. Empty at the end.
    std::optional<stored> blocking_next() { return next_until(time_point::max()); }
    /// blocking_next for at most `timeout`. Throws: timeout_error; nothing is lost.
    std::optional<stored> blocking_next_for(detail::time_limit timeout) {
        return next_until(detail::blocking_deadline(timeout));
    }
    /// `for (auto& result : pool.map(...))`: blocking_next, again and again.
    auto begin() { return detail::blocking_iterator<&pool_map::blocking_next>(*this); }
    std::default_sentinel_t end() const noexcept { return {}; }
    /// All results; blocks until they are there.
    whole get() { return all_until(time_point::max()); }
    /// get for at most `timeout` in total. Throws: timeout_error.
    whole get_for(detail::time_limit timeout) {
        return all_until(detail::blocking_deadline(timeout));
    }

private:
    pool_map change(std::size_t& what, std::size_t to) {
        RONDO_ASSERT(to != 0 && detail::is_count(to),
                     "chunk and buffer of a map need at least 1");
        what = to;
        return std::move(*this);
    }

    task<whole> collect() {
        if constexpr (std::is_void_v<R>) {
            bool more = true;
            while (more) {
                const std::optional<stored> one = co_await next();
                more = one.has_value();
            }
        } else {
            whole all;
            while (auto one = co_await next()) all.push_back(std::move(*one));
            co_return all;
        }
    }
    whole all_until(time_point deadline) {
        if constexpr (std::is_void_v<R>) {
            while (next_until(deadline)) {}
        } else {
            whole all;
            while (auto one = next_until(deadline)) all.push_back(std::move(*one));
            return all;
        }
    }
    std::optional<stored> next_until(time_point deadline) {
        while (!window_.has_result()) {
            if (!window_.launch()) return std::nullopt;
            if (!window_.head()) window_.head() = window_.line()->blocking_next(deadline);
            if (!window_.head() || !window_.at_head().core().block(deadline)) throw timeout_error();
            window_.take();
        }
        return window_.pop();
    }

    window window_;
};

}  // namespace v0
}  // namespace rondo
