// SPDX-License-Identifier: MIT
// One task takes the pages out of the lines, and starts a task for each.
#include "local_frontier.hpp"

#include <algorithm>
#include <exception>
#include <functional>
#include <string_view>
#include <utility>

#include <rondo/http/url.hpp>
#include <rondo/race.hpp>
#include <rondo/shield.hpp>
#include <rondo/sleep.hpp>
#include <rondo/task_group.hpp>

namespace crawler {

namespace {

std::string host_of(const target& page) { return rondo::http::url(page.url).origin(); }

}  // namespace

bool local_frontier::is_new(const std::string& url) {
    const std::uint64_t hash = std::hash<std::string_view>{}(url);
    if (known_.contains(hash)) return false;
    if (pages_max_ != 0 && known_.size() >= pages_max_) {
        ++dropped_;
        return false;
    }
    known_.insert(hash);
    return true;
}

rondo::task<> local_frontier::put(std::vector<target> found) {
    for (target& page : found) {
        if (!is_new(page.url)) continue;
        if (in_memory_ < memory_max_ && overflow_.empty())
            add(std::move(page));
        else
            co_await overflow_.put(std::move(page));
    }
    changed_.set();
}

void local_frontier::add(target page) {
    const auto place = hosts_.try_emplace(host_of(page)).first;
    if (place->second.pages.empty()) turns_.push_back(&*place);
    place->second.pages.push_back(std::move(page));
    ++in_memory_;
}

rondo::task<> local_frontier::refill() {
    std::vector<target> pages = co_await overflow_.take();
    for (target& page : pages) add(std::move(page));
}

// The host whose turn was longest ago, of those that may have another request now.
std::optional<target> local_frontier::take_ready() {
    const rondo::time_point now = rondo::running_loop().time();
    soonest_ = rondo::time_point::max();
    for (auto turn = turns_.begin(); turn != turns_.end(); ++turn) {
        auto& [name, line] = **turn;
        if (line.at_work >= gate_.requests_per_host()) continue;  // one that ends wakes us
        const rondo::time_point ready = gate_.ready_at(name);
        if (ready > now) {
            soonest_ = std::min(soonest_, ready);
            continue;
        }
        target page = std::move(line.pages.front());
        line.pages.pop_front();
        ++line.at_work;
        --in_memory_;
        if (line.pages.empty())
            turns_.erase(turn);
        else
            turns_.splice(turns_.end(), turns_, turn);
        return page;
    }
    return std::nullopt;
}

// The next page, or none if none is left and none is at work that could find another.
rondo::task<std::optional<target>> local_frontier::next(std::size_t jobs) {
    for (;;) {
        changed_.clear();
        if (in_memory_ <= memory_max_ / 2 && !overflow_.empty()) co_await refill();
        if (in_memory_ == 0 && overflow_.empty() && at_work_ == 0) co_return std::nullopt;
        if (at_work_ < jobs) {
            soonest_ = rondo::time_point::max();
            if (auto page = take_ready()) co_return page;
        }
        const rondo::duration wait = soonest_ - rondo::running_loop().time();
        if (at_work_ < jobs && soonest_ != rondo::time_point::max())
            co_await rondo::move_on_after(wait, changed_.wait());
        else
            co_await changed_.wait();
    }
}

rondo::task<> local_frontier::work(std::size_t jobs, visitor& with, rondo::duration grace) {
    co_await rondo::with_task_group([&](rondo::task_group& group) -> rondo::task<> {
        std::exception_ptr end;
        try {
            while (auto page = co_await next(jobs)) {
                work_place place(*this, host_of(*page));
                group.start(visit_one(with, std::move(*page), std::move(place)));
            }
        } catch (...) {
            end = std::current_exception();
        }
        if (!end) co_return;
        co_await rondo::shield(leave(grace));
        std::rethrow_exception(end);
    });
}

// Only leave() cancels a visit: a cancellation of work() stays outside of the shield.
rondo::task<> local_frontier::visit_one(visitor& with, target page, work_place) {
    co_await rondo::shield(rondo::race(with.visit(page), end_of_grace()));
}

rondo::task<> local_frontier::end_of_grace() { co_await is_ending_.wait(); }

rondo::task<> local_frontier::all_visits_ended() {
    while (at_work_ > 0) {
        changed_.clear();
        co_await changed_.wait();
    }
}

rondo::task<> local_frontier::leave(rondo::duration grace) {
    co_await rondo::move_on_after(grace, all_visits_ended());
    is_ending_.set();
}

local_frontier::work_place::work_place(local_frontier& of, std::string host)
    : of_(&of), host_(std::move(host)) {
    ++of_->at_work_;
}

local_frontier::work_place::~work_place() {
    if (of_ == nullptr) return;
    --of_->at_work_;
    const auto line = of_->hosts_.find(host_);
    --line->second.at_work;
    if (line->second.at_work == 0 && line->second.pages.empty()) of_->hosts_.erase(line);
    of_->changed_.set();
}

}  // namespace crawler
