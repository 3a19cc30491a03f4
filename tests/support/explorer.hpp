// SPDX-License-Identifier: MIT
// Explores every order in which a few tasks can run. At each step a choice decides which ready task
// runs next, or which task is cancelled now. The run is repeated with other choices until all have
// been made.
//
// A run is a list of choices. `explore_all` tries all lists, depth first, and runs the scenario
// from its start each time. `explore_samples` draws choices from a seed, for scenarios with too
// many orders. There are more orders here than in a loop, whose ready queue is a FIFO. So a
// scenario that passes here passes on a loop.
//
// A scenario is a class that is made anew for each run:
//     explicit scenario(stage&)      starts the actors
//     void check_step(stage&)        called after each choice; checks what must always hold
//     void check_end(stage&)         called when nothing is ready any more
// Both report to `stage.require(bool, text)`.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <rondo/future.hpp>
#include <rondo/sleep.hpp>

#include "coroutine/trampoline.hpp"

namespace rondo_tests {

using namespace rondo;

/// Chooses one of n possibilities, and records the choices.
class chooser {
public:
    unsigned choose(unsigned possibilities) {
        if (possibilities < 2) return 0;
        unsigned taken = 0;
        if (random_ != 0)
            taken = static_cast<unsigned>(draw() % possibilities);
        else if (at_ < path_.size())
            taken = path_[at_].taken;
        if (at_ == path_.size()) path_.push_back({taken, possibilities});
        ++at_;
        return taken;
    }

    /// Begins the next run. False if all choices have been tried.
    bool next() {
        at_ = 0;
        if (random_ != 0) return path_.clear(), true;
        while (!path_.empty() && path_.back().taken + 1 == path_.back().possibilities)
            path_.pop_back();
        if (path_.empty()) return false;
        ++path_.back().taken;
        return true;
    }

    void draw_from(std::uint64_t seed) { random_ = seed * 0x9e3779b97f4a7c15 + 1; }

    std::string text() const {
        std::string all;
        for (const step& s : path_) all += std::to_string(s.taken) + ' ';
        return all;
    }

private:
    struct step {
        unsigned taken;
        unsigned possibilities;
    };
    std::uint64_t draw() {
        random_ ^= random_ << 13;
        random_ ^= random_ >> 7;
        random_ ^= random_ << 17;
        return random_ >> 16;
    }
    std::vector<step> path_;
    std::size_t at_ = 0;
    std::uint64_t random_ = 0;
};

struct top_scope {
    rondo::detail::scope top{nullptr, {}, {}, rondo::detail::scope::of_loop, 0};
};

/// One run: a resumer with its actors, instead of a loop.
class stage : top_scope, public rondo::detail::resumer {
public:
    stage(chooser& from, unsigned cancellations)
        : resumer(top_scope::top), from_(from), cancellations_(cancellations) {
        rondo::detail::here.turn = this;
    }
    ~stage() { rondo::detail::here.turn = nullptr; }

    /// Starts a task that may be cancelled; numbers count from 0.
    void actor(task<> body) {
        actors_.push_back(rondo::detail::create_in(*this, std::move(body), {}, {}));
        cancelled_.push_back(false);
    }

    std::size_t actors() const { return actors_.size(); }
    bool ended(std::size_t actor) const { return actors_[actor].done(); }
    bool was_cancelled(std::size_t actor) const { return cancelled_[actor]; }
    bool all_ended() const {
        for (const future<>& a : actors_)
            if (!a.done()) return false;
        return true;
    }

    void require(bool holds, const char* what) {
        if (!holds && failure.empty()) failure = what;
    }
    std::string failure;

    template <class Scenario>
    void run(Scenario& scenario) {
        while (failure.empty() && step()) scenario.check_step(*this);
        if (failure.empty()) scenario.check_end(*this);
        for (std::size_t i = 0; i < actors_.size(); ++i) {
            cancelled_[i] = cancelled_[i] || !actors_[i].done();
            actors_[i].cancel();
        }
        cancellations_ = 0;
        while (step()) {
        }
        require(all_ended(), "a task does not end although it was cancelled");
        for (future<>& a : actors_) require(a.cancelled() || !a.exception(), "an actor failed");
    }

private:
    void host_wanted() noexcept override {}

    /// Makes one choice. False if no task is ready and none may be cancelled any more.
    bool step() {
        while (!ready_.empty()) waiting_.push_back(&ready_.pop());
        candidates_.clear();
        for (std::size_t i = 0; i < actors_.size() && cancellations_ != 0; ++i)
            if (!cancelled_[i] && !actors_[i].done()) candidates_.push_back(i);
        // If no task is ready, each cancellation is a possibility, and no cancellation is another.
        const bool idle = waiting_.empty();
        if (idle && candidates_.empty()) return false;
        const std::size_t count = waiting_.size() + candidates_.size() + (idle ? 1 : 0);
        std::size_t taken = from_.choose(static_cast<unsigned>(count));
        if (idle && taken == 0) return false;
        if (idle) --taken;
        if (taken < waiting_.size()) {
            rondo::detail::ready_item& item = *waiting_[taken];
            waiting_.erase(waiting_.begin() + static_cast<std::ptrdiff_t>(taken));
            resume(item);
        } else {
            const std::size_t actor = candidates_[taken - waiting_.size()];
            --cancellations_;
            cancelled_[actor] = true;
            actors_[actor].cancel();
        }
        return true;
    }

    chooser& from_;
    unsigned cancellations_;
    std::vector<rondo::detail::ready_item*> waiting_;
    std::vector<std::size_t> candidates_;
    std::vector<future<>> actors_;
    std::vector<bool> cancelled_;
};

struct exploration {
    std::uint64_t runs = 0;
    std::string failure;  // of the first run that failed
    std::string path;
};

template <class Scenario>
bool explore_once(chooser& from, unsigned cancellations, exploration& so_far) {
    stage s(from, cancellations);
    {
        Scenario scenario(s);
        s.run(scenario);
    }
    ++so_far.runs;
    if (s.failure.empty()) return true;
    so_far.failure = s.failure;
    so_far.path = from.text();
    return false;
}

template <class Scenario>
exploration explore_all(unsigned cancellations) {
    exploration all;
    chooser from;
    do {
        if (!explore_once<Scenario>(from, cancellations, all)) break;
    } while (from.next());
    return all;
}

template <class Scenario>
exploration explore_samples(std::uint64_t count, unsigned cancellations, std::uint64_t seed) {
    exploration all;
    chooser from;
    from.draw_from(seed);
    while (all.runs < count && from.next())
        if (!explore_once<Scenario>(from, cancellations, all)) break;
    return all;
}

}  // namespace rondo_tests
