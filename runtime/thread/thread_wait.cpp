// SPDX-License-Identifier: MIT
// Watches several thread_cores.
#include <rondo/thread_wait.hpp>

#include <rondo/thread_sync.hpp>

#include "thread/own_thread.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

struct completion_queue::place : thread_watcher {
    place() noexcept : thread_watcher(completion_queue::on_end) {}

    completion_queue* line = nullptr;
    thread_core* core = nullptr;  // while it is watched
};

completion_queue::completion_queue(std::size_t places)
    : count_(places), places_(new place[places]) {
    for (std::size_t i = 0; i < places; ++i) places_[i].line = this;
    order_.reserve(places);
}

// Places that were not told are still watched. A thread that tells one holds the core's mutex until
// it has finished with the place.
completion_queue::~completion_queue() {
    for (std::size_t i = 0; i < count_; ++i)
        if (places_[i].core != nullptr) places_[i].core->unwatch(places_[i]);
}

void completion_queue::watch(std::size_t number, thread_core& core) noexcept {
    place& at = places_[number];
    at.core = &core;
    if (!core.watch(at)) on_end(at);
}

void completion_queue::on_end(thread_watcher& watcher) noexcept {
    auto& at = static_cast<place&>(watcher);
    completion_queue& line = *at.line;
    [[maybe_unused]] const bool put =
        line.order_.try_put(static_cast<std::size_t>(&at - line.places_.get()));
}

void completion_queue::release(std::size_t number) noexcept {
    std::exchange(places_[number].core, nullptr)->unwatch(places_[number]);
}

// Depends on `what` only if all cores do: a single core that something else can end ends the wait.
struct completion_queue::blocked final : blocking {
    explicit blocked(const completion_queue& l) noexcept : line(l) {}
    bool depends_on(const void* what) const noexcept override {
        for (std::size_t i = 0; i < line.count_; ++i) {
            const thread_core* const core = line.places_[i].core;
            if (core != nullptr && (core->done() || !core->depends_on(what))) return false;
        }
        return true;
    }
    const completion_queue& line;
};

std::optional<std::size_t> completion_queue::blocking_next(time_point deadline) {
    const blocked here_on(*this);
    const blocking_scope announced(here_on, deadline == time_point::max());
    const std::optional<std::size_t> next = order_.try_next_until(deadline);
    if (next) release(*next);
    return next;
}

bool has_failed(const thread_core& core) noexcept {
    return core.now() > thread_core::phase::valued;
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
