// SPDX-License-Identifier: MIT
// The end of a loop. It cancels everything below its scope, so that no task can refuse. Then it
// waits until all tasks and operations have ended, because a frame is never destroyed while the
// kernel or a thread can still touch it (law 1). Tasks in foreign awaitables get a grace period,
// are printed, and are destroyed last.
#include <unistd.h>

#include <cxxabi.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "loop/loop_core.hpp"
#include "coroutine/report.hpp"
#include "coroutine/trampoline.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

/// True if `f(task)` is true for a task at or below `top`. Visits parents before their children,
/// without recursion, and stops at the first true.
template <class F>
bool any_task(scope& top, F f) {
    for (scope* s = &top;;) {
        if ((s->flags & scope::of_task) != 0 && f(static_cast<task_record&>(*s))) return true;
        scope* next = s->first_child();
        while (next == nullptr && s != &top) {
            next = s->next_sibling();
            s = s->parent;
        }
        if (next == nullptr) return false;
        s = next;
    }
}

template <class F>
void for_each_task(scope& top, F f) {
    any_task(top, [&](task_record& r) { return f(r), false; });
}

bool has_child_tasks(task_record& record) noexcept {
    return any_task(record, [&](task_record& r) { return &r != &record; });
}

bool is_foreign(const task_record& record) noexcept {
    return record.wait != nullptr && record.wait->kind->foreign;
}

/// Destroys the frames of a suspended chain below its root, leaf first, in a loop (law 7).
void unwind(task_record& record) noexcept {
    using handle = std::coroutine_handle<promise_base>;
    promise_base* frame = &handle::from_address(record.point.address()).promise();
    while ((frame->flags & shared_core::root) == 0) {
        task_awaiter_base& awaiter = *frame->awaiter;
        awaiter.child = nullptr;
        frame->handle().destroy();
        frame = &handle::from_address(awaiter.caller.address()).promise();
    }
}

/// Destroys a suspended task; it ends as a cancelled one.
void abandon(task_record& record) noexcept {
    promise_base& root = promise_base::of(record);
    ++root.holders;
    unwind(record);
    record.wait = nullptr;
    root.flags |= shared_core::was_cancelled;
    root.end_coroutine();
    finish_task(record);
    release(root);  // the loop's reference
    release(root);
}

void write_out(const std::string& text) noexcept {
    [[maybe_unused]] const auto written = ::write(STDERR_FILENO, text.data(), text.size());
}

/// The type's name as programs write it: without rondo's inline namespace.
std::string name_of_type(const std::exception_ptr& error) {
    const std::type_info* type = error.__cxa_exception_type();
    if (type == nullptr) return "an exception";
    int status = 0;
    char* const readable = abi::__cxa_demangle(type->name(), nullptr, nullptr, &status);
    std::string name = status == 0 ? readable : type->name();
    std::free(readable);
    constexpr std::string_view version = "rondo::v0::";
    const auto at = name.find(version);
    if (at != name.npos) name.replace(at, version.size(), "rondo::");
    return name;
}

/// The error's type, its text, and the path of coroutines that it passed through.
std::string text_of(const std::exception_ptr& error) {
    if (!error) return "";
    std::string text = name_of_type(error);
    try {
        std::rethrow_exception(error);
    } catch (const std::exception& e) {
        text += std::string(": ") + e.what();
    } catch (...) {  // no text
    }
    return text + path_of(error);
}

}  // namespace

void loop_core::print_tasks(const char* headline) const {
    std::string text = std::string("rondo: ") + headline + ":\n";
    for (const task_handle& task : face.all_tasks()) text += "  " + task.describe() + '\n';
    write_out(text);
}

void write_report(const exception_context& context) {
    write_out("rondo: " + context.message + ": " + text_of(context.error) + '\n');
}

namespace {

/// Calls the handler. If it throws, writes both errors.
void call_handler(function<void(const exception_context&)>& handler,
                  const exception_context& context) {
    try {
        handler(context);
    } catch (...) {
        write_report(context);
        write_report({"the exception handler itself threw", std::current_exception()});
    }
}

}  // namespace

bool loop_core::may_write_report() noexcept {
    const time_point now = kernel->now();
    if (now - reports.since >= std::chrono::seconds(1)) {
        tell_left_out();
        reports = {.since = now};
    }
    if (++reports.count <= written_reports::limit) return true;
    ++reports.left_out;
    return false;
}

void loop_core::tell_left_out() noexcept {
    std::array<char, 80> text;
    const std::uint64_t count = std::exchange(reports.left_out, 0);
    if (count == 0) return;
    const int size = std::snprintf(text.data(), text.size(),
                                   "rondo: %llu more errors were not written\n",
                                   static_cast<unsigned long long>(count));
    [[maybe_unused]] const auto written =
        ::write(STDERR_FILENO, text.data(), static_cast<std::size_t>(size));
}

void loop_core::report(std::string message, std::exception_ptr error) noexcept {
    report(exception_context{.message = std::move(message), .error = std::move(error)});
}

void loop_core::report(const exception_context& context) noexcept {
    try {
        if (const auto called = handler)  // a copy: the handler may replace itself
            call_handler(*called, context);
        else if (!context.routine && may_write_report())
            write_report(context);
    } catch (...) {
        write_out("rondo: an error could not be reported: out of memory\n");
    }
}

void report_unseen(task_record& record, std::exception_ptr error) noexcept {
    std::string message = "task ";
    const char* const name = name_of(record);
    if (name != nullptr) message += '"' + std::string(name) + "\", ";
    message += "created at " + std::string(file_of(record)) + ':' + std::to_string(record.line) +
               (name != nullptr ? ", failed" : " failed") +
               " and its exception was never retrieved";
    if (is_open(*record.home))
        core_of(*record.home).report(std::move(message), std::move(error));
    else
        write_report({.message = std::move(message), .error = std::move(error)});
}

bool loop_core::only_foreign_left() noexcept {
    if (operations != 0 || !ready_.empty() || inbox->pending()) return false;
    return !any_task(top(), [](task_record& r) {
        return !is_foreign(r) && (r.wait == nullptr || !has_child_tasks(r));
    });
}

void loop_core::abandon_foreign() {
    std::vector<task_handle> left;
    for_each_task(top(), [&](task_record& r) {
        if (is_foreign(r) && !has_child_tasks(r)) left.emplace_back(promise_base::of(r));
    });
    std::string text =
        "rondo: the loop ends while these tasks are in a foreign awaitable; they are destroyed:\n";
    for (const task_handle& task : left) text += "  " + task.describe() + '\n';
    write_out(text);
    for (const task_handle& task : left)
        abandon(static_cast<promise_base&>(future_core(task)).record);
}

void loop_core::cancel_background() noexcept {
    for (background_operation* each = background.first(); each != nullptr;) {
        background_operation* const next = background.next(*each);  // `each` may end at once
        cancel(*each);
        each = next;
    }
}

void loop_core::wait_for_tasks() {
    const time_point start = kernel->now();
    const time_point warn_at = saturating_add(start, options.leave_warning);
    const time_point foreign_at = saturating_add(start, options.foreign_grace);
    bool warned = false;
    while (tasks() != 0 || operations != 0) {
        const bool foreign = tasks() != 0 && only_foreign_left();
        if (foreign && kernel->now() >= foreign_at) {
            abandon_foreign();
            continue;
        }
        const time_point until = foreign ? foreign_at : warned ? time_point::max() : warn_at;
        stopping = false;
        run_ready();
        if (tasks() == 0 && operations == 0) return;  // nothing would end a wait
        if (tasks() == 0) cancel_background();        // a shielded task may have begun more
        if (ready_.empty()) poll_kernel(until);
        if (!warned && kernel->now() >= warn_at && tasks() != 0) {
            print_tasks(
                "leaving a loop takes long; these tasks have been cancelled and have not ended");
            warned = true;
        }
    }
}

void loop_core::leave(bool drop_callbacks) {
    must_be_ours();
    leaving = true;
    detail::cancel(top());  // also cancels tasks that pending posts create
    if (drop_callbacks) {
        const borrowed_turn borrowed(*this);
        drop_calls(*this);
    }
    if (tasks() != 0 || operations != 0 || !ready_.empty() || !hooks.empty()) end_tasks();
    inbox->close();
    run_what_is_left();
    // A hook, a post or a callback may have begun more.
    while (tasks() != 0 || operations != 0 || !hooks.empty()) {
        end_tasks();
        run_what_is_ready();
    }
    leaving = false;
    tell_left_out();
}

void loop_core::end_tasks() {
    running_turn running(*this);
    cancel_background();
    wait_for_tasks();
    run_hooks();
}

/// The error of a loop that was destroyed in a place where it could not end its tasks.
const char* loop_core::why_not_left() const noexcept {
    if (!process.is_current())
        return "a loop with tasks was destroyed in a forked child: it belongs to the parent";
    if (here.turn != nullptr)
        return "a loop with tasks was destroyed inside the run of another one, by one of its tasks "
               "or callbacks";
    return "a loop with tasks was destroyed on another thread than the one that ran it";
}

void loop_core::run_hooks() noexcept {
    while (!hooks.empty()) {
        function<void()> hook = std::move(hooks.back());
        hooks.pop_back();
        try {
            hook();
        } catch (...) {
            report("a shutdown hook threw", std::current_exception());
        }
    }
}

/// Runs posts and ready callbacks once more. A callback that always schedules itself again ends
/// here.
void loop_core::run_what_is_left() {
    {
        const borrowed_turn borrowed(*this);
        deliver_posts();
        stopping = false;
        run_ready();
        closed = true;
        drop_calls(*this);
    }
    run_what_is_ready();
}

void loop_core::run_what_is_ready() {
    const borrowed_turn borrowed(*this);
    while (!ready_.empty()) resume(ready_.pop());
}

}  // namespace detail

void loop::call_exception_handler(const exception_context& context) noexcept {
    core_->report(context);
}

std::vector<task_handle> loop::all_tasks() const {
    std::vector<task_handle> all;
    detail::for_each_task(core_->top(), [&](detail::task_record& record) {
        all.emplace_back(detail::promise_base::of(record));
    });
    return all;
}

}  // namespace v0
}  // namespace rondo
