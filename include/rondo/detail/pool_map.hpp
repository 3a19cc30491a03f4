// SPDX-License-Identifier: MIT
// What `map` of the pools gives: a call for each element of ranges, elsewhere, lazily and within a bound.
//
// It keeps a window of jobs ahead of whoever takes the results and launches the next one when a result was taken. Python's
// Executor.map did without the window until 3.14 and ate the memory of whoever handed it a long range. Which pool runs
// the jobs is the launcher's business: it makes a thread_future of a chunk of argument tuples.
#pragma once

#include <cstddef>
#include <iterator>
#include <memory>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <rondo/detail/gcc12.hpp>
#include <rondo/detail/queue_storage.hpp>
#include <rondo/thread_wait.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

template <class R>
using iterator_of = decltype(std::begin(std::declval<std::remove_reference_t<R>&>()));
template <class It>
struct read_of : std::remove_cvref<decltype(*std::declval<It&>())> {};
template <class It>
    requires requires { typename std::iter_value_t<It>; }
struct read_of<It> : std::type_identity<std::iter_value_t<It>> {};
template <class R>
using element_of = typename read_of<iterator_of<R>>::type;

template <class R>
using value_or_monostate = std::conditional_t<std::is_void_v<R>, std::monostate, std::decay_t<R>>;

/// Calls a function for each tuple of a chunk.
template <class F>
struct run_chunk {
    template <class Arguments>
    auto operator()(F fn, std::vector<Arguments> chunk) const {
        using result = decltype(std::apply(fn, std::move(chunk.front())));
        std::vector<value_or_monostate<result>> results;
        results.reserve(chunk.size());
        for (Arguments& each : chunk) {
            if constexpr (std::is_void_v<result>) {
                std::apply(fn, std::move(each));
                results.emplace_back();
            } else {
                results.push_back(std::apply(fn, std::move(each)));
            }
        }
        return results;
    }
};

/// A range that is read once, from its beginning: referred to where it has a name, kept where it has none.
template <class R>
class range_reader {
    static constexpr bool kept = !std::is_lvalue_reference_v<R>;
    using range = std::remove_reference_t<R>;
    using sentinel = decltype(std::end(std::declval<range&>()));

public:
    explicit range_reader(R&& r) : range_(hold(r)) {}
    // Before the first reading.
    range_reader(range_reader&& other) : range_(std::move(other.range_)) {
        RONDO_ASSERT(!other.at_, "a map of a pool was moved after it had begun");
    }

    bool at_end() {
        if (!at_) {
            at_.emplace(std::begin(get()));
            end_.emplace(std::end(get()));
        } else if (std::exchange(was_read_, false)) {
            ++*at_;
        }
        return *at_ == *end_;
    }
    /// The next one; it is not at its end.
    element_of<R> read() {
        using element = element_of<R>;
        was_read_ = true;
        if constexpr (can_be_copied<element>)
            return element(**at_);
        else
            return element(std::move(**at_));
    }

private:
    static auto hold(range& r) {
        if constexpr (kept)
            return range(std::move(r));
        else
            return &r;
    }
    range& get() {
        if constexpr (kept)
            return range_;
        else
            return *range_;
    }

    std::conditional_t<kept, range, range*> range_;
    std::optional<iterator_of<R>> at_;
    std::optional<sentinel> end_;
    bool was_read_ = false;  // the next one is fetched when it is asked for
};

}  // namespace detail

/// The results of a call for each element: all of them (`co_await`, or `get()` on a plain thread), or one after the other
/// as they are wanted (`co_await m.next()`, or `m.blocking_next()`), in the order of the elements unless `as_completed`.
/// Nothing is called before the first is asked for. Use it within the life of the ranges that it refers to.
/// Throws: what a call throws, in its place; the others that wait are cancelled, those that run are dropped, and the map
///         has ended. What submit throws.
/// Cancel: awaited whole: the calls that wait are cancelled, those that run go on and are dropped. `next`: leaves at once
///         and loses nothing; the next one gives what would have come.
/// See:    concurrent.futures.Executor.map.
template <class R, bool Hazard, class Launch, class... Ranges>
class [[nodiscard("a map calls nothing until its results are asked for")]] pool_map
    : public detail::only_in_tasks {
    static_assert(sizeof...(Ranges) > 0, "a map wants at least one range");
    using element = std::tuple<detail::element_of<Ranges>...>;
    using stored = detail::value_or_monostate<R>;
    using chunk_future = thread_future<std::vector<stored>>;

public:
    using value_type = stored;
    using whole = std::conditional_t<std::is_void_v<R>, void, std::vector<stored>>;

    pool_map(Launch launch, Ranges&&... ranges)
        : launch_(std::move(launch)), ranges_(std::forward<Ranges>(ranges)...) {}
    pool_map(pool_map&&) = default;
    ~pool_map() { abandon(); }

    // -- how, before the first result is asked for ----------------------------------------------------------------------
    /// So many elements make one job: where a call takes less than some 20 µs.
    pool_map&& chunk(std::size_t elements) && { return change(chunk_, elements); }
    /// At most so many jobs ahead, instead of two for each thread.
    pool_map&& buffer(std::size_t jobs) && { return change(ahead_, jobs); }
    /// The results come as the calls end. Those of one chunk stay together.
    pool_map&& as_completed(bool whether = true) && {
        in_order_ = !whether;
        return std::move(*this);
    }

    // -- tasks ----------------------------------------------------------------------------------------------------------
    /// The next result; empty at the end.
    task<std::optional<stored>> next() {
        while (!has_result()) {
            if (!launch()) co_return std::nullopt;
            if (!head_) {
                head_ = co_await line_->next();
                line_->heard(*head_);
            }
            try {
                co_await places_[*head_];
            } catch (const cancelled&) {
                throw;
            } catch (...) {  // the call's own error: take() throws it
            }
            take();
        }
        co_return pop();
    }
    /// All of them.
    auto rondo_awaiter() && {
        static_assert(!Hazard,
                      "g++ 12 destroys a temporary closure that owns something twice inside a co_await: name what "
                      "`map` returns on a line of its own and co_await that name (docs/gcc12.md)");
        return detail::task_awaiter<whole>(&collect().release());
    }
    auto rondo_awaiter() & { return detail::task_awaiter<whole>(&collect().release()); }

    // -- plain threads --------------------------------------------------------------------------------------------------
    /// The next result; blocks until it is there. Empty at the end.
    std::optional<stored> blocking_next() { return next_until(time_point::max()); }
    /// The same for at most `timeout`. Throws: timeout_error; nothing is lost.
    std::optional<stored> blocking_next_for(duration timeout) {
        return next_until(detail::blocking_deadline(timeout));
    }
    /// All of them.
    whole get() { return all_until(time_point::max()); }
    /// The same for at most `timeout` together. Throws: timeout_error.
    whole get_for(duration timeout) { return all_until(detail::blocking_deadline(timeout)); }

private:
    pool_map&& change(std::size_t& what, std::size_t to) {
        RONDO_ASSERT(to != 0, "a map of a pool wants at least one element in a job, and one job");
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
        while (!has_result()) {
            if (!launch()) return std::nullopt;
            if (!head_) head_ = line_->blocking_next(deadline);
            if (!head_ || !places_[*head_].core().block(deadline)) throw timeout_error();
            take();
        }
        return pop();
    }

    bool has_result() const noexcept { return given_ < results_.size(); }
    stored pop() { return static_cast<stored>(std::move(results_[given_++])); }

    /// Fills the window, and says which place is wanted next where that is known. False where nothing is under way.
    bool launch() {
        try {
            if (places_.empty()) open();
            while (!free_.empty() && launch_into(free_.back())) free_.pop_back();
        } catch (...) {
            abandon();
            throw;
        }
        if (in_order_ && !head_ && under_way_ != 0) head_ = order_.pop();
        return under_way_ != 0;
    }
    void open() {
        const std::size_t ahead = ahead_ != 0 ? ahead_ : 2 * launch_.workers();
        if (!in_order_) line_ = std::make_unique<detail::completion_line>(ahead);
        for (std::size_t place = ahead; place-- != 0;) free_.push_back(place);
        places_.resize(ahead);
    }
    /// False where the ranges have ended.
    bool launch_into(std::size_t place) {
        std::vector<element> elements;
        while (!ended_ && elements.size() < chunk_) {
            ended_ = std::apply([](auto&... r) { return (r.at_end() || ...); }, ranges_);
            if (!ended_)
                elements.push_back(std::apply([](auto&... r) { return element{r.read()...}; }, ranges_));
        }
        if (elements.empty()) return false;
        places_[place] = launch_(std::move(elements));
        if (in_order_)
            order_.push(std::size_t{place});
        else
            line_->watch(place, places_[place].core());
        ++under_way_;
        return true;
    }
    /// The one at the head has ended.
    void take() {
        const std::size_t place = *head_;
        head_.reset();
        --under_way_;
        chunk_future done = std::move(places_[place]);
        try {
            results_ = std::move(done).get();
        } catch (...) {
            abandon();
            throw;
        }
        given_ = 0;
        free_.push_back(place);
    }
    void abandon() noexcept {
        line_.reset();
        for (const chunk_future& f : places_)
            if (f) f.cancel();
        places_.clear();
        free_.clear();
        head_.reset();
        under_way_ = 0;
        ended_ = true;
    }

    Launch launch_;
    std::tuple<detail::range_reader<Ranges>...> ranges_;
    std::size_t chunk_ = 1;
    std::size_t ahead_ = 0;
    bool in_order_ = true;
    bool ended_ = false;                             // the ranges have
    std::vector<chunk_future> places_;               // the window
    std::vector<std::size_t> free_;                  // of it
    detail::ring<std::size_t> order_;                // in which they were launched
    std::unique_ptr<detail::completion_line> line_;  // where that does not matter
    std::optional<std::size_t> head_;                // the place that is wanted, or has ended
    std::size_t under_way_ = 0;
    std::vector<stored> results_;                    // of the last job that was taken
    std::size_t given_ = 0;
};

}  // namespace v0
}  // namespace rondo
