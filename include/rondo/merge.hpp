// SPDX-License-Identifier: MIT
// Merges several async_generators: their items in the order of arrival.
//
//     co_await rondo::with_merged(show_all, prices("a"), prices("b"));
//
//     rondo::task<> show_all(rondo::merged<price>& items) {
//         while (auto item = co_await items.next()) show(*item);
//     }
//
// The sources wait at the same time, so each needs a task of its own, and these tasks need a parent
// that does not end before them. So this is a function that takes its body, like with_task_group,
// and not a generator. An abandoned generator cannot wait for its tasks: they would keep references
// into a destroyed frame. That is the leak of `merge` in other libraries.
#pragma once

#include <cstddef>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include <rondo/async_generator.hpp>
#include <rondo/queue.hpp>
#include <rondo/task_group.hpp>

namespace rondo {
inline namespace v0 {

template <class T>
class merged;

namespace detail {
template <class T, class F>
auto run_merged(F fn, std::vector<async_generator<T>> sources)
    -> std::invoke_result_t<F&, merged<T>&>;
}

/// The merged items of several sources.
/// Thread: its loop's.
template <class T>
class merged {
public:
    /// The next item in the order of arrival; empty once all sources have ended.
    /// Cancel: takes nothing.
    auto next() noexcept { return items_.next(); }

private:
    template <class U, class F>
    friend auto detail::run_merged(F fn, std::vector<async_generator<U>> sources)
        -> std::invoke_result_t<F&, merged<U>&>;

    explicit merged(std::size_t sources) : open_(sources) {
        if (sources == 0) items_.close();
    }
    task<> drain(async_generator<T>* source) {
        while (auto item = co_await source->next()) {
            auto put = items_.put(std::move(*item));
            co_await put;
        }
        if (--open_ == 0) items_.close();
    }

    queue<T> items_{1};  // so that each source is at most one item ahead
    std::size_t open_;
};

namespace detail {

template <class T, class F>
auto run_merged(F fn, std::vector<async_generator<T>> sources)
    -> std::invoke_result_t<F&, merged<T>&> {
    using ended = std::invoke_result_t<F&, merged<T>&>;
    merged<T> items(sources.size());
    const auto body = [&](task_group& group) -> ended {
        for (async_generator<T>& source : sources) group.start(items.drain(&source));
        if constexpr (std::is_void_v<typename ended::value_type>) {
            co_await fn(items);
            group.cancel();
        } else {
            auto value = co_await fn(items);
            group.cancel();
            co_return value;
        }
    };
    co_return co_await with_task_group(body);
}

}  // namespace detail

/// Runs `fn(items)`, which must return a task, while all sources run; `items.next()` gives the next
/// item of any source. When fn has ended, with a value or an error, the sources are cancelled and
/// awaited. Returns the value of fn.
/// Throws: the exception of fn. If a source fails: its error, after fn and the other sources were
///         cancelled and have ended.
/// Cancel: cancels fn and the sources, and waits for their end.
/// See:    aiostream.stream.merge.
template <class F, class T, class... Rest>
    requires(std::is_same_v<Rest, async_generator<T>>&&...)
auto with_merged(F&& fn, async_generator<T> first, Rest... rest) {
    std::vector<async_generator<T>> sources;
    sources.reserve(1 + sizeof...(rest));
    sources.push_back(std::move(first));
    (sources.push_back(std::move(rest)), ...);
    return with_merged(std::forward<F>(fn), std::move(sources));
}

/// with_merged for any number of sources, also none.
template <class F, class T>
auto with_merged(F&& fn, std::vector<async_generator<T>> sources) {
    return detail::guarded<F>(
        detail::run_merged<T, std::decay_t<F>>(std::forward<F>(fn), std::move(sources)));
}

}  // namespace v0
}  // namespace rondo
