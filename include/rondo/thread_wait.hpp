// SPDX-License-Identifier: MIT
// Waits of plain threads for several thread_futures: for some of them (`wait`), or for one after
// the other in the order of completion (`as_completed`). In a task use the functions of the same
// names for rondo::future; `wrap_future` makes one of a thread_future.
#pragma once

#include <cstddef>
#include <iterator>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include <rondo/bridge.hpp>
#include <rondo/detail/thread/blocking_iterator.hpp>
#include <rondo/thread_future.hpp>
#include <rondo/wait.hpp>

namespace rondo {
inline namespace v0 {

namespace detail {

/// Watches a fixed number of thread_cores, each in a numbered place. The numbers come out in the
/// order of completion.
class RONDO_API completion_queue {
public:
    /// Throws: std::bad_alloc. No other member allocates.
    explicit completion_queue(std::size_t places);
    ~completion_queue();
    completion_queue(const completion_queue&) = delete;
    completion_queue& operator=(const completion_queue&) = delete;

    /// Watches `core` in `place`, which must be free: a core that it had before has been collected.
    void watch(std::size_t place, thread_core& core) noexcept;
    /// `co_await line.next()` gives the next place, as an optional that is never empty. Call
    /// `release(place)` then.
    auto next() noexcept { return order_.next(); }
    /// Frees `place`, whose core has ended. On return no other thread touches the place any more.
    void release(std::size_t place) noexcept;
    /// Blocks the thread until a core has ended, frees its place and returns it. Empty if the
    /// deadline passes first.
    /// Throws: deadlock_error if only this thread could end the wait.
    std::optional<std::size_t> blocking_next(time_point deadline);

private:
    struct place;
    struct blocked;
    static void on_end(thread_watcher& watcher) noexcept;

    std::size_t count_;
    std::unique_ptr<place[]> places_;
    bridge_queue<std::size_t> order_;
};

template <class A>
inline constexpr bool is_thread_future = false;
template <class T>
inline constexpr bool is_thread_future<thread_future<T>> = true;

template <class R>
concept thread_futures = iterable<R> && is_thread_future<element<R>>;

/// Watches all of `futures`, which must outlive `line`.
template <class T>
void watch_all(completion_queue& line, const std::vector<thread_future<T>>& futures) noexcept {
    for (std::size_t i = 0; i < futures.size(); ++i) line.watch(i, futures[i].core());
}

/// True if it ended with an error or was cancelled.
RONDO_API bool has_failed(const thread_core& core) noexcept;

}  // namespace detail

/// The result of `wait`: the given futures in their order, split in two.
template <class T>
struct thread_wait_result {
    std::vector<thread_future<T>> done;
    std::vector<thread_future<T>> pending;
};

/// Blocks the thread until `futures` are done as `until` says, or until `timeout` has passed.
/// Returns them split into done and pending. Cancels nothing; errors stay in the futures. Do not
/// call it in a task.
/// Throws: std::bad_alloc; deadlock_error if only this thread could end the wait.
/// See:    concurrent.futures.wait.
template <detail::thread_futures R>
auto wait(R futures, return_when until = return_when::all_completed,
          detail::time_limit timeout = duration::max())
    -> thread_wait_result<typename detail::element<R>::value_type> {
    const auto all =
        detail::each_once(futures, [](const auto& f) -> const auto& { return f.core(); });
    const time_point deadline = detail::blocking_deadline(timeout);
    {
        detail::completion_queue line(all.size());
        detail::watch_all(line, all);
        for (std::size_t missing = all.size(); missing != 0; --missing) {
            const auto place = line.blocking_next(deadline);
            if (!place || until == return_when::first_completed) break;
            if (until == return_when::first_exception && detail::has_failed(all[*place].core()))
                break;
        }
    }
    thread_wait_result<typename detail::element<R>::value_type> parted;
    for (const auto& f : all) (f.done() ? parted.done : parted.pending).push_back(f);
    return parted;
}

/// Futures in the order of completion.
template <class T>
class thread_completions {
public:
    thread_completions(std::vector<thread_future<T>> futures, time_point deadline)
        : futures_(std::move(futures)),
          line_(futures_.size()),
          missing_(futures_.size()),
          deadline_(deadline) {
        detail::watch_all(line_, futures_);
    }

    /// Blocks until the next future is done, and returns it. Empty at the end.
    /// Throws: timeout_error; deadlock_error if only this thread could end the wait.
    std::optional<thread_future<T>> next() {
        if (missing_ == 0) return std::nullopt;
        const auto place = line_.blocking_next(deadline_);
        if (!place) throw timeout_error();
        --missing_;
        return futures_[*place];
    }

    /// Iterates in `for (auto& f : as_completed(futures))`.
    auto begin() { return detail::blocking_iterator<&thread_completions::next>(*this); }
    std::default_sentinel_t end() const noexcept { return {}; }

private:
    std::vector<thread_future<T>> futures_;
    detail::completion_queue line_;
    std::size_t missing_;
    time_point deadline_;
};

/// Gives the futures in the order of completion, for a plain thread.
/// Throws: when the next one is requested: timeout_error if `timeout`, which starts now, has
///         passed.
/// See:    concurrent.futures.as_completed.
template <detail::thread_futures R>
auto as_completed(R futures, detail::time_limit timeout = duration::max()) {
    return thread_completions<typename detail::element<R>::value_type>(
        {futures.begin(), futures.end()}, detail::blocking_deadline(timeout));
}

namespace detail {

/// A thread_future that is cancelled with the task that waits for it, even if that task never
/// began.
template <class T>
class wrapped {
public:
    explicit wrapped(thread_future<T> f) noexcept : future_(std::move(f)) {}
    wrapped(wrapped&&) noexcept = default;
    ~wrapped() {
        if (future_) future_.cancel();
    }
    const thread_future<T>& future() const noexcept { return future_; }
    /// Takes the future, which is done; it is not cancelled any more.
    thread_future<T> take() noexcept { return std::move(future_); }

private:
    thread_future<T> future_;
};

template <class T>
task<T> await_wrapped(wrapped<T> mine) {
    try {
        co_await mine.future();
    } catch (const rondo::cancelled&) {
        throw;
    } catch (...) {  // the job's own error: get() throws it
    }
    co_return mine.take().get();
}

}  // namespace detail

/// Converts `f` to a future of the running loop, for gather, wait, race and other functions that
/// take one. Cancelling that future cancels `f`.
/// Throws: no_running_loop_error.
/// See:    asyncio.wrap_future.
template <class T>
future<T> wrap_future(thread_future<T> f) {
    return create_task(detail::await_wrapped(detail::wrapped<T>(std::move(f))));
}

}  // namespace v0
}  // namespace rondo
