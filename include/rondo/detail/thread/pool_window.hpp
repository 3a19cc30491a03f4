// SPDX-License-Identifier: MIT
// The window of jobs that a map of a pool runs ahead of its reader: it launches the next job when a
// result was taken. (Until 3.14 Python's Executor.map had no such bound, and a long range used up
// the memory.) The launcher decides which pool runs the jobs: it makes a thread_future of a chunk
// of argument tuples.
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

#include <rondo/detail/sync/queue_storage.hpp>
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

/// Reads a range once, from its beginning. A named range is referenced, a temporary is stored.
template <class R>
class range_reader {
    static constexpr bool kept = !std::is_lvalue_reference_v<R>;
    using range = std::remove_reference_t<R>;
    using sentinel = decltype(std::end(std::declval<range&>()));

public:
    explicit range_reader(R&& r) : range_(hold(r)) {}
    // Only before the first read.
    range_reader(range_reader&& other) : range_(std::move(other.range_)) {
        RONDO_ASSERT(!other.at_, "a map of a pool was moved after its first result was requested");
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
    /// The next element; not at the end.
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
    bool was_read_ = false;  // advance on the next at_end()
};

/// A window of jobs.
/// Thread: one at a time.
template <class R, class Launch, class... Ranges>
class pool_window {
    using element = std::tuple<element_of<Ranges>...>;

public:
    using stored = value_or_monostate<R>;
    using chunk_future = thread_future<std::vector<stored>>;

    pool_window(Launch launch, Ranges&&... ranges)
        : launch_(std::move(launch)), ranges_(std::forward<Ranges>(ranges)...) {}
    pool_window(pool_window&&) = default;
    ~pool_window() { abandon(); }

    std::size_t chunk = 1;   ///< elements in a job
    std::size_t ahead = 0;   ///< jobs at once; 0: two per thread
    bool in_order = true;

    bool has_result() const noexcept { return given_ < results_.size(); }
    stored pop() { return static_cast<stored>(std::move(results_[given_++])); }

    /// Fills the window, and sets the head if the next place is known. False if no job is under
    /// way.
    bool launch() {
        try {
            if (places_.empty() && !ended_) open();
            while (!free_.empty() && launch_into(free_.back())) free_.pop_back();
        } catch (...) {
            abandon();
            throw;
        }
        if (in_order && !head_ && under_way_ != 0) head_ = order_.pop();
        return under_way_ != 0;
    }
    /// The place whose job is waited for, once `launch` or the line has set it.
    std::optional<std::size_t>& head() noexcept { return head_; }
    /// Null if results come in the order of the elements.
    completion_queue* line() noexcept { return line_.get(); }
    const chunk_future& at_head() const noexcept { return places_[*head_]; }

    /// Takes the results of the job at the head, which has ended.
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

private:
    void open() {
        const std::size_t jobs = ahead != 0 ? ahead : 2 * launch_.workers();
        if (!in_order) line_ = std::make_unique<completion_queue>(jobs);
        for (std::size_t place = jobs; place-- != 0;) free_.push_back(place);
        places_.resize(jobs);
    }
    /// False if the ranges have ended.
    bool launch_into(std::size_t place) {
        std::vector<element> elements;
        while (!ended_ && elements.size() < chunk) {
            ended_ = std::apply([](auto&... r) { return (r.at_end() || ...); }, ranges_);
            if (!ended_)
                elements.push_back(
                    std::apply([](auto&... r) { return element{r.read()...}; }, ranges_));
        }
        if (elements.empty()) return false;
        places_[place] = launch_(std::move(elements));
        if (in_order)
            order_.push(std::size_t{place});
        else
            line_->watch(place, places_[place].core());
        ++under_way_;
        return true;
    }

    Launch launch_;
    std::tuple<range_reader<Ranges>...> ranges_;
    bool ended_ = false;                     // the ranges have ended
    std::vector<chunk_future> places_;       // the window
    std::vector<std::size_t> free_;          // free places of the window
    ring<std::size_t> order_;                // places in the order of launch
    std::unique_ptr<completion_queue> line_;  // places in the order of completion
    std::optional<std::size_t> head_;        // the place that is wanted, or has ended
    std::size_t under_way_ = 0;
    std::vector<stored> results_;            // of the job that was taken last
    std::size_t given_ = 0;
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
