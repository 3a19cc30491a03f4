// SPDX-License-Identifier: MIT
// Hands a mutex over, and names the holder of a lock in diagnostic texts.
#include <rondo/sync/mutex.hpp>

#include "coroutine/report.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

/// True if this is the address of a task that has not ended. Searches the tree of scopes, which
/// contains all tasks; outside of a turn there is no tree to search.
bool is_a_task(const task_record* record) noexcept {
    if (here.turn == nullptr) return false;
    const scope* const top = &here.turn->top();
    for (const scope* s = top;;) {
        if (s == record && (s->flags & scope::of_task) != 0) return true;
        const scope* next = s->first_child();
        while (next == nullptr && s != top) {
            next = s->next_sibling();
            s = s->parent;
        }
        if (next == nullptr) return false;
        s = next;
    }
}

}  // namespace

std::string holder_text(const task_record* holder) {
    if (holder == nullptr) return "no task";
    if (!is_a_task(holder)) return "a task that has ended";
    return title_of(*holder);
}

std::string waiters_text(const wait_queue& queue) {
    if (queue.empty()) return {};
    return " and " + std::to_string(queue.size()) + (queue.size() == 1 ? " waits" : " wait");
}

const char* keep_text(std::string text) {
    thread_local std::string kept;
    kept = std::move(text);
    return kept.c_str();
}

constinit const wait_kind mutex_wait::kind_{"line for a mutex", leave, object};
constinit const wait_kind recursive_mutex_wait::kind_{"line for a recursive mutex", leave, object};

const char* mutex_wait::object(const leaf_wait& wait) {
    return keep_text(static_cast<const mutex_wait&>(wait).mutex_->state());
}

const char* recursive_mutex_wait::object(const leaf_wait& wait) {
    return keep_text(static_cast<const recursive_mutex_wait&>(wait).mutex_->state());
}

}  // namespace detail

void mutex::hand_over() noexcept {
    holder_ = line_.front().task;
    line_.unpark_one();
}

std::string mutex::state() const {
    if (!locked_) return "that is not locked";
    return "held by " + detail::holder_text(holder_) + detail::waiters_text(line_);
}

std::string mutex::describe() const { return "a mutex " + state(); }

recursive_mutex::guard recursive_mutex::try_lock() noexcept {
    RONDO_ASSERT(detail::here.current != nullptr,
                 "a recursive mutex was locked outside of a task");
    return take() ? enter() : guard();
}

std::string recursive_mutex::state() const {
    if (!locked()) return "that is not locked";
    return "held by " + detail::holder_text(lock_.holder_) + ", " + std::to_string(depth_) +
           " deep" + detail::waiters_text(lock_.line_);
}

std::string recursive_mutex::describe() const { return "a recursive mutex " + state(); }

}  // namespace v0
}  // namespace rondo
