// SPDX-License-Identifier: MIT
// A semaphore and a time for each host.
#include "gate.hpp"

#include <algorithm>

#include <rondo/loop.hpp>
#include <rondo/sleep.hpp>

namespace crawler {

gate_host& gate::state_of(const std::string& host) {
    const auto [place, is_new] = hosts_.try_emplace(host, requests_per_host_);
    if (is_new) place->second.delay = delay_;
    return place->second;
}

rondo::task<rondo::permit> gate::enter(std::string host) {
    gate_host& state = state_of(host);
    rondo::permit result = co_await state.requests.acquire();
    // Each task takes a moment of its own before it waits, so none waits twice.
    const rondo::time_point begin = std::max(rondo::running_loop().time(), state.next);
    state.next = begin + state.delay;
    co_await rondo::sleep_until(begin);
    co_return result;
}

rondo::time_point gate::ready_at(const std::string& host) const {
    const auto found = hosts_.find(host);
    return found == hosts_.end() ? rondo::time_point{} : found->second.next;
}

void gate::slow_down(const std::string& host, rondo::duration delay) {
    gate_host& state = state_of(host);
    state.delay = std::max(state.delay, delay);
}

}  // namespace crawler
