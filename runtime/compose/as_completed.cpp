// SPDX-License-Identifier: MIT
// A node for each future: in the future's list of watchers until it is done, then in the list of
// done ones.
#include <rondo/as_completed.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

struct completion_kind {
    static void leave(leaf_wait& wait) noexcept {
        auto& self = static_cast<completion_order::awaiter&>(wait);
        self.order_->waiter_ = nullptr;
        self.state = completion_order::awaiter::refused;
        detail::wake(wait);
    }
    static void settled(wait_node& w, shared_core*) noexcept {
        auto& done = static_cast<completion_order::node&>(w);
        completion_order& order = *done.owner;
        done.core = nullptr;  // it is in done_ from now on, not in the core's list
        order.done_.append(done);
        if (order.waiter_ != nullptr)
            detail::wake(static_cast<leaf_wait&>(*std::exchange(order.waiter_, nullptr)));
    }
    static constexpr wait_kind kind{"as_completed", leave, nullptr};
};

completion_order::completion_order(const std::vector<shared_core*>& cores) : nodes_(cores.size()) {
    for (std::size_t i = 0; i < cores.size(); ++i) {
        nodes_[i].owner = this;
        nodes_[i].core = cores[i];
        nodes_[i].wake = completion_kind::settled;
        if (cores[i]->is_done())
            completion_kind::settled(nodes_[i], cores[i]);
        else
            cores[i]->watchers.append(nodes_[i]);
    }
}

completion_order::~completion_order() {
    for (node& n : nodes_)
        if (n.core != nullptr) n.core->watchers.remove(n);
}

completion_order::awaiter::awaiter(completion_order& order) noexcept
    : leaf_wait(completion_kind::kind), order_(&order) {}

bool completion_order::awaiter::await_ready() noexcept {
    if (is_cancelled()) return cancel_at_start();
    return !order_->done_.empty() && may_go_on();
}

void completion_order::awaiter::await_suspend(std::coroutine_handle<> frame, location at) noexcept {
    park(*this, frame, at);
    if (is_refused())
        requeue(*this);
    else if (order_->done_.empty())
        order_->waiter_ = this;
    else
        detail::wake(static_cast<leaf_wait&>(*this));  // it is ready, but other tasks run first
}

std::size_t completion_order::awaiter::await_resume() {
    if (is_refused() || is_cancelled()) throw cancelled();
    const node& done = static_cast<node&>(order_->done_.pop());
    return static_cast<std::size_t>(&done - order_->nodes_.data());
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
