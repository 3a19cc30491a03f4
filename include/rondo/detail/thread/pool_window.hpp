// SPDX-License-Identifier: MIT
// The window of jobs that a map of a pool keeps ahead of whoever takes the results: it launches the next one when a result
// was taken. Python's Executor.map did without until 3.14 and ate the memory of whoever handed it a long range. Which
// pool runs the jobs is the launcher's business: it makes a thread_future of a chunk of argument tuples.
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
    std::size_t ahead = 0;   ///< jobs at once; 0: two for each thread
    bool in_order = true;

    bool has_result() const noexcept { return given_ < results_.size(); }
    stored pop() { return static_cast<stored>(std::move(results_[given_++])); }

    /// Fills the window, and says which place is wanted next where that is known. False where nothing is under way.
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
    /// The place whose end is waited for, once `launch` or the line has named it.
    std::optional<std::size_t>& head() noexcept { return head_; }
    /// Null where the order is that of the elements.
    completion_line* line() noexcept { return line_.get(); }
    const chunk_future& at_head() const noexcept { return places_[*head_]; }

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

private:
    void open() {
        const std::size_t jobs = ahead != 0 ? ahead : 2 * launch_.workers();
        if (!in_order) line_ = std::make_unique<completion_line>(jobs);
        for (std::size_t place = jobs; place-- != 0;) free_.push_back(place);
        places_.resize(jobs);
    }
    /// False where the ranges have ended.
    bool launch_into(std::size_t place) {
        std::vector<element> elements;
        while (!ended_ && elements.size() < chunk) {
            ended_ = std::apply([](auto&... r) { return (r.at_end() || ...); }, ranges_);
            if (!ended_)
                elements.push_back(std::apply([](auto&... r) { return element{r.read()...}; }, ranges_));
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
    bool ended_ = false;                             // the ranges have
    std::vector<chunk_future> places_;               // the window
    std::vector<std::size_t> free_;                  // of it
    ring<std::size_t> order_;                        // in which they were launched
    std::unique_ptr<completion_line> line_;          // where that does not matter
    std::optional<std::size_t> head_;                // the place that is wanted, or has ended
    std::size_t under_way_ = 0;
    std::vector<stored> results_;                    // of the last job that was taken
    std::size_t given_ = 0;
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
