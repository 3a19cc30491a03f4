// SPDX-License-Identifier: MIT
// How a loop ends: everything below its scope is cancelled, so that nothing can refuse; then it waits until every task
// and every operation has ended, because a frame is never destroyed while the kernel or a thread can still touch it.
// Tasks that are in somebody else's hands (foreign awaitables) get a grace time, are named, and go last.
#include <unistd.h>

#include "loop_core.hpp"
#include "report.hpp"
#include "trampoline.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

/// Is `f(task)` true for one of the tasks at or below `top`? Asks a parent before its children, without recursion, and
/// not on after a yes.
template <class F>
bool any_task(scope& top, F f) {
    for (scope* s = &top;;) {
        if ((s->bits & scope::of_task) != 0 && f(static_cast<task_record&>(*s))) return true;
        scope* next = s->children;
        while (next == nullptr && s != &top) {
            next = s->next;
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

/// Destroys the frames of a suspended chain below its root, leaf first, in a loop.
void unwind(task_record& record) noexcept {
    using handle = std::coroutine_handle<promise_base>;
    promise_base* frame = &handle::from_address(record.point.address()).promise();
    while ((frame->marks & shared_core::root) == 0) {
        task_awaiter_base& awaiter = *frame->awaiter;
        awaiter.child = nullptr;
        frame->handle().destroy();
        frame = &handle::from_address(awaiter.caller.address()).promise();
    }
}

/// The task is over, as one that was cancelled.
void abandon(task_record& record) noexcept {
    promise_base& root = promise_base::of(record);
    ++root.holders;
    unwind(record);
    record.wait = nullptr;
    root.marks |= shared_core::was_cancelled;
    root.end_coroutine();
    finish_task(record);
    release(root);  // the loop's share
    release(root);
}

void write_out(const std::string& text) noexcept {
    [[maybe_unused]] const auto written = ::write(STDERR_FILENO, text.data(), text.size());
}

std::string text_of(const std::exception_ptr& error) {
    if (!error) return "";
    try {
        std::rethrow_exception(error);
    } catch (const std::exception& e) {
        return e.what();
    } catch (const cancelled&) {
        return "cancelled";
    } catch (...) {
        const std::type_info* type = error.__cxa_exception_type();
        return std::string("an exception of type ") + (type != nullptr ? type->name() : "?");
    }
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

void loop_core::report(std::string message, std::exception_ptr error) noexcept {
    try {
        const exception_context context{std::move(message), std::move(error)};
        if (handler)
            handler(context);
        else
            write_report(context);
    } catch (...) {
        write_out("rondo: the exception handler itself threw\n");
    }
}

void report_unseen(task_record& record, std::exception_ptr error) noexcept {
    std::string message = "nobody asked for the error of task ";
    if (const char* name = name_of(record)) message += '"' + std::string(name) + "\", ";
    message += "created at " + std::string(file_of(record)) + ':' + std::to_string(record.line);
    if (is_open(*record.home))
        core_of(*record.home).report(std::move(message), std::move(error));
    else
        write_report({std::move(message), std::move(error)});
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
    std::string text = "rondo: the loop ends while these tasks are in a foreign awaitable; they are destroyed:\n";
    for (const task_handle& task : left) text += "  " + task.describe() + '\n';
    write_out(text);
    for (const task_handle& task : left)
        abandon(static_cast<promise_base&>(future_core(task)).record);
}

void loop_core::cancel_background() noexcept {
    for (background_operation* each = background; each != nullptr;) {
        background_operation* const next = each->following;  // what has not reached the kernel leaves at once
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
        if (tasks() == 0 && operations == 0) return;  // nothing would end the wait
        if (tasks() == 0) cancel_background();        // what a shielded task has begun since
        if (ready_.empty()) look(until);
        if (!warned && kernel->now() >= warn_at && tasks() != 0) {
            print_tasks("leaving a loop takes long; these tasks have been cancelled and have not ended");
            warned = true;
        }
    }
}

void loop_core::leave() {
    must_be_ours();
    leaving = true;
    detail::cancel(top());  // also for what a post that is still to be run creates
    if (tasks() == 0 && operations == 0 && ready_.empty() && hooks.empty()) {
        inbox->close();
    } else {
        running_turn running(*this);
        cancel_background();
        wait_for_tasks();
        run_hooks();
        inbox->close();
    }
    run_what_is_left();
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

/// What was posted or ready is run once more; a callback that schedules itself again and again ends here.
void loop_core::run_what_is_left() {
    resumer* outer = std::exchange(here.turn, this);
    deliver_posts();
    stopping = false;
    run_ready();
    closed = true;
    drop_calls(*this);
    while (!ready_.empty()) resume(ready_.pop());
    here.turn = outer;
}

}  // namespace detail

void loop::call_exception_handler(const exception_context& context) noexcept {
    core_->report(context.message, context.error);
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
