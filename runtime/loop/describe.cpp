// SPDX-License-Identifier: MIT
// Describes a task in one line: its name, where it was created, its parent, its deadline, and the
// place where it waits. Places are those of the program: for coroutines of rondo (gather, wait_for,
// connect_tcp), the co_await that called them.
#include <rondo/future.hpp>

#include <cstring>

#include "base/duration_text.hpp"
#include "loop/loop_core.hpp"
#include "coroutine/report.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

/// Whether `file` is a public header or in runtime/.
bool is_ours(const char* file) noexcept {
    constexpr std::size_t folder = sizeof __FILE__ - sizeof "loop/describe.cpp";
    return std::strstr(file, "include/rondo/") != nullptr ||
           std::strncmp(file, __FILE__, folder) == 0;
}

bool is_suspended(const task_record& record) noexcept {
    return record.wait != nullptr && record.wait->task != nullptr;
}

/// The innermost co_await of the program in which a task is suspended; line 0 if there is none, or
/// if the task is running.
location place_in_program(const task_record& record) noexcept {
    if (&record == here.current) return {"", "", 0};
    if (is_suspended(record) && !is_ours(record.wait->file))
        return {record.wait->file, "", record.wait->line};
    for (std::coroutine_handle<> frame = record.point;;) {
        const auto& promise =
            std::coroutine_handle<promise_base>::from_address(frame.address()).promise();
        if ((promise.flags & shared_core::root) != 0) return {"", "", 0};
        if (!is_ours(promise.awaiter->where.file)) return promise.awaiter->where;
        frame = promise.awaiter->caller;
    }
}

/// The task that opened a scope; null for the scope of a loop and others without an owner.
const task_record* owner_of(const scope& s) noexcept {
    if ((s.flags & scope::of_task) != 0) return &static_cast<const task_record&>(s);
    if ((s.flags & (scope::of_loop | scope::of_context | scope::of_job)) != 0) return nullptr;
    return &static_cast<const inner_scope&>(s).owner();
}

/// The task that started this one as its child; null for a detached task.
const task_record* parent_of(const task_record& record) noexcept {
    for (const scope* s = record.parent; s != nullptr; s = s->parent)
        if (const task_record* owner = owner_of(*s)) return owner;
    return nullptr;
}

/// The call that created a task. For a child of gather and the like, the await of gather.
location birth_of(const task_record& record) noexcept {
    const location noted{file_of(record), "", record.line};
    if (!is_ours(noted.file)) return noted;
    for (const task_record* p = parent_of(record); p != nullptr; p = parent_of(*p))
        if (const location place = place_in_program(*p); place.line != 0) return place;
    return noted;
}

std::string text_of_place(const location& place) {
    return std::string(place.file) + ':' + std::to_string(place.line);
}

std::string text_of_birth(const task_record& record) {
    const location place = birth_of(record);
    const std::string by = *place.function != '\0' ? std::string(" in ") + place.function : "";
    return "created at " + text_of_place(place) + by;
}

std::string text_of_wait(const task_record& record) {
    const leaf_wait& wait = *record.wait;
    std::string text = std::string(", waits in ") + wait.kind->what;
    if (wait.kind->object != nullptr) text += std::string(" ") + wait.kind->object(wait);
    location at = place_in_program(record);
    if (at.line == 0) at = birth_of(record);  // an awaitable that was passed to create_task
    return text + " at " + text_of_place(at);
}

std::string text_of_deadline(const task_record& record) {
    const time_point deadline = deadline_of(*record.innermost);
    if (deadline == time_point::max()) return "";
    const duration left = deadline - now(*record.home);
    if (left <= duration::zero()) return ", past its deadline";
    return ", " + text_of(left) + " before its deadline";
}

}  // namespace

std::string title_of(const task_record& record) {
    if (const char* name = name_of(record)) return std::string("task \"") + name + '"';
    return "the task " + text_of_birth(record);
}

}  // namespace detail

std::string task_handle::describe() const {
    using namespace detail;
    if ((core().flags & shared_core::of_task) == 0) return "a promise";
    const task_record& record = static_cast<const promise_base&>(core()).record;
    const char* const called = name_of(record);
    std::string text = called != nullptr ? "task \"" + std::string(called) + "\"" : "task";
    const task_state now = state();
    if (now == task_state::done)  // its parent, and perhaps its loop, no longer exist
        return text + ", created at " + text_of_place({file_of(record), "", record.line}) +
               ", done";
    text += ", " + text_of_birth(record);
    if (const task_record* parent = parent_of(record)) text += ", a child of " + title_of(*parent);
    text += text_of_deadline(record);
    switch (now) {
        case task_state::created: return text + ", not yet begun";
        case task_state::ready: return text + ", ready";
        case task_state::running: return text + ", running";
        default: return text + text_of_wait(record);
    }
}

}  // namespace v0
}  // namespace rondo
