// SPDX-License-Identifier: MIT
// The job of `map_async`: a call for each element, begun at once and finished without a reader.
//
// The elements are read before it begins. As many runners as the pool has threads are submitted;
// each makes one call after the other until no element is left, so no chunk size is needed, and the
// pool's queue holds a runner per thread instead of a job per element. One runner is enough: if
// the pool refuses the others, the map only takes longer.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <memory>
#include <optional>
#include <stop_token>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <rondo/detail/thread/element_call.hpp>
#include <rondo/detail/thread/pool_job.hpp>
#include <rondo/detail/thread/pool_window.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

/// The value of a map: the results in the order of the elements.
template <class R>
using whole_map = std::conditional_t<std::is_void_v<R>, void, std::vector<value_or_monostate<R>>>;

/// The result of a call of F with an element of each range.
template <class F, class... Ranges>
using mapped = element_result<std::decay_t<F>, element_of<Ranges>...>;

/// The element at an iterator: copied if that is possible, otherwise moved out.
template <class Element, class Iterator>
Element element_at(Iterator& at) {
    if constexpr (can_be_copied<Element>)
        return Element(*at);
    else
        return Element(std::move(*at));
}

/// All elements of ranges, in tuples, until the shortest range ends. (No range_reader: of its
/// optional iterators g++ 12 believes that they may be uninitialized.)
template <class... Ranges>
auto all_elements(Ranges&&... ranges) {
    using element = std::tuple<element_of<Ranges>...>;
    std::vector<element> all;
    const auto walk = [&](auto... at) {
        for (; !((at == std::end(ranges)) || ...); (++at, ...))
            all.push_back(element{element_at<element_of<Ranges>>(at)...});
    };
    walk(std::begin(ranges)...);
    return all;
}

template <class R, class F, class Element>
class started_map final : public given_state<whole_map<R>> {
    using stored = value_or_monostate<R>;
    struct runner final : pool_job {
        runner() noexcept : pool_job(&kind_) {}
        started_map* of = nullptr;
    };

public:
    template <class G>
    started_map(std::shared_ptr<pool_core> pool, G&& fn, std::vector<Element> elements)
        : pool_(std::move(pool)),
          origin_(std::in_place),
          fn_(std::in_place, std::forward<G>(fn)),
          elements_(std::move(elements)),
          results_(elements_.size()),
          runners_(std::min(elements_.size(), threads_max_of(*pool_))),
          unended_(runners_.size()) {
        for (runner& each : runners_) each.of = this;
        this->begin();
    }

    /// Submits the runners. Throws: as submit, if the pool refuses the first one.
    void start() {
        if (runners_.empty()) return end();
        for (std::size_t i = 0; i < runners_.size(); ++i) {
            try {
                submit_job(*pool_, runners_[i]);
            } catch (...) {  // the refused runner has been given up
                for (std::size_t left = i + 1; left < runners_.size(); ++left)
                    runner_ended();
                if (i == 0) throw;
                return;
            }
        }
    }

    bool depends_on(const void* what) const noexcept override { return what == pool_.get(); }

private:
    static void run(pool_job& job) noexcept {
        started_map& self = *static_cast<runner&>(job).of;
        self.make_calls();
        self.runner_ended();
    }
    static void give_up(pool_job& job, std::exception_ptr why) noexcept {
        started_map& self = *static_cast<runner&>(job).of;
        // The map goes on as long as another runner does.
        if (!self.is_refused_.exchange(true)) self.refusal_ = std::move(why);
        self.runner_ended();
    }
    static std::stop_source stopper(pool_job& job) noexcept {
        return static_cast<runner&>(job).of->stop_;
    }
    static bool is_unwatched(const pool_job& job) noexcept {
        return !static_cast<const runner&>(job).of->has_handle();
    }
    static constexpr pool_job_kind kind_{run, give_up, stopper, is_unwatched};

    void make_calls() noexcept {
        const job_origin origin = origin_->get();
        const job_origin_here carried(origin);
        try {
            F fn(std::as_const(*fn_));  // each runner calls its own copy
            while (!stop_.stop_requested()) {
                const std::size_t i = next_.fetch_add(1, std::memory_order_relaxed);
                if (i >= elements_.size()) return;
                if constexpr (std::is_void_v<R>) {
                    call_with(fn, stop_.get_token(), std::move(elements_[i]));
                    results_[i].emplace();
                } else {
                    results_[i].emplace(
                        call_with(fn, stop_.get_token(), std::move(elements_[i])));
                }
                made_.fetch_add(1, std::memory_order_relaxed);
            }
        } catch (...) {
            if (!has_failed_.exchange(true)) how_ = keep_exception(*this);
            stop_.request_stop();
        }
    }
    void runner_ended() noexcept {
        if (unended_.fetch_sub(1, std::memory_order_acq_rel) == 1) end();
    }
    /// Destroys everything that the map owns before its future is done.
    void end() noexcept {
        if (!has_failed_.load(std::memory_order_relaxed))
            how_ = made_.load(std::memory_order_relaxed) == elements_.size()
                       ? keep_results()
                       : keep_refusal(*this, std::move(refusal_));
        results_.clear();
        elements_.clear();
        fn_.reset();
        origin_.reset();
        this->finish(how_);
        this->drop_giver();
    }
    thread_core::phase keep_results() noexcept {
        return keep_outcome<whole_map<R>>(*this, [&]() -> whole_map<R> {
            if constexpr (!std::is_void_v<R>) {
                std::vector<stored> all;
                all.reserve(results_.size());
                for (auto& each : results_) all.push_back(*std::move(each));
                return all;
            }
        });
    }
    bool ask_to_stop() noexcept override {
        stop_.request_stop();
        for (runner& each : runners_)
            if (take_job_back(*pool_, each)) runner_ended();
        return true;
    }

    const std::shared_ptr<pool_core> pool_;
    std::optional<kept_origin> origin_;
    std::optional<F> fn_;
    std::vector<Element> elements_;
    std::vector<std::optional<stored>> results_;
    std::vector<runner> runners_;
    std::stop_source stop_;
    std::atomic<std::size_t> next_{0};     // the first element that no runner has taken
    std::atomic<std::size_t> made_{0};     // calls that have returned
    std::atomic<std::size_t> unended_;     // runners
    std::atomic<bool> has_failed_{false};  // a call threw
    std::atomic<bool> is_refused_{false};  // a runner was given up
    thread_core::phase how_{};             // set by the first call that failed, or at the end
    std::exception_ptr refusal_;
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
