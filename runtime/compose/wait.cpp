// SPDX-License-Identifier: MIT
// Watches several futures at once, with a node for each and a timer.
#include <rondo/wait.hpp>

#include <algorithm>
#include <functional>
#include <numeric>

namespace rondo {
inline namespace v0 {
namespace detail {

std::vector<bool> firsts(const std::vector<const void*>& keys) {
    std::vector<std::size_t> order(keys.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
        return std::less<>()(keys[a], keys[b]);
    });
    std::vector<bool> first(keys.size(), true);
    for (std::size_t i = 1; i < order.size(); ++i)
        first[order[i]] = keys[order[i]] != keys[order[i - 1]];
    return first;
}

struct watching_kind {
    static void leave(leaf_wait& wait) noexcept {
        wait.state = leaf_wait::refused;
        static_cast<watching::awaiter&>(wait).finish();
    }
    static void due(timer_node& node) noexcept {
        static_cast<watching::awaiter&>(node).finish();
    }
    static void settled(wait_node& w, shared_core* core) noexcept {
        auto& owner = *static_cast<watching::awaiter::node&>(w).owner;
        if (owner.enough(*core)) owner.finish();
    }
    static constexpr wait_kind kind{"wait", leave, nullptr};
};

watching::awaiter watching::rondo_awaiter() && {
    return awaiter(std::move(cores_), until_, deadline_);
}

watching::awaiter::awaiter(std::vector<shared_core*> cores, return_when until, time_point deadline)
    : leaf_wait(watching_kind::kind), timer_node(watching_kind::due), nodes_(cores.size()),
      until_(until), deadline_(deadline) {
    for (std::size_t i = 0; i < cores.size(); ++i) {
        nodes_[i].owner = this;
        nodes_[i].core = cores[i];
        nodes_[i].wake = watching_kind::settled;
    }
}

watching::awaiter::~awaiter() {
    unlink();
    if (is_set()) cancel_timer(*task->home, *this);
}

/// Counts a future that is done. True if the condition is met.
bool watching::awaiter::enough(const shared_core& core) noexcept {
    --missing_;
    if (until_ == return_when::first_completed || missing_ == 0) return true;
    return until_ == return_when::first_exception && (core.flags & shared_core::valued) == 0;
}

bool watching::awaiter::await_ready() noexcept {
    if (is_cancelled()) return cancel_at_start();
    if (nodes_.empty()) return true;
    missing_ = nodes_.size();
    bool ready = false;
    for (node& n : nodes_)
        if (n.core->is_done() && enough(*n.core)) ready = true;
    return ready && may_go_on();
}

void watching::awaiter::await_suspend(std::coroutine_handle<> frame, location at) {
    park(*this, frame, at);
    if (is_refused()) return requeue(*this);
    missing_ = nodes_.size();
    bool ready = false;
    for (node& n : nodes_)
        if (n.core->is_done())
            ready = enough(*n.core) || ready;
        else
            n.core->watchers.append(n);
    if (ready) return finish();  // it is ready, but other tasks run first
    if (deadline_ == time_point::max()) return;
    try {
        set_timer(*task->home, *this, deadline_);
    } catch (...) {
        unlink();
        task->wait = nullptr;
        throw;
    }
}

void watching::awaiter::unlink() noexcept {
    for (node& n : nodes_)
        if (n.linked()) n.core->watchers.remove(n);
}

void watching::awaiter::finish() noexcept {
    unlink();
    cancel_timer(*task->home, *this);
    detail::wake(static_cast<leaf_wait&>(*this));
}

void watching::awaiter::await_resume() {
    if (is_refused() || is_cancelled()) throw cancelled();
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
