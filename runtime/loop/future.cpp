// SPDX-License-Identifier: MIT
// Waiting for a future, watching one, cancelling one.
#include <rondo/future.hpp>

#include "loop/loop_core.hpp"
#include "coroutine/report.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

task_record& record_of(shared_core& core) noexcept {
    return static_cast<promise_base&>(core).record;
}

bool has_frame(const shared_core& core) noexcept {
    return (core.flags & shared_core::of_task) != 0;
}

}  // namespace

resumer& home_of(shared_core& core) noexcept {
    return has_frame(core) ? *record_of(core).home : *static_cast<promise_core&>(core).home;
}

namespace {

/// A done callback: watches until the end, then is called by the loop like call_soon's.
struct done_callback : wait_node, callback_item {
    function<void()> fn;
    resumer* home;

    static void settled(wait_node& node, shared_core*) noexcept {
        static_cast<done_callback&>(node).schedule();
    }

    done_callback(resumer& h, function<void()> f) noexcept : fn(std::move(f)), home(&h) {
        wait_node::wake = settled;
        point = nullptr;
        callback_item::run = [](callback_item& item) noexcept {
            static_cast<done_callback&>(item).call();
        };
    }
    void schedule() noexcept {
        if (is_open(*home))
            home->push(*this);
        else
            delete this;  // its loop has ended
    }
    void call() noexcept {
        loop_core& core = core_of(*home);
        try {
            fn();
        } catch (...) {
            core.report("a done callback threw", std::current_exception());
        }
        delete this;
    }
};

/// Whether a task waits for it. A done callback does not count.
bool has_waiters(const shared_core& core) noexcept {
    if (has_frame(core)) {
        const scope& parent = *record_of(const_cast<shared_core&>(core)).parent;
        if ((parent.flags & scope::of_children) != 0) return true;  // its group waits for its end
    }
    const wait_node* each = core.watchers.first();
    for (; each != nullptr; each = wait_list::next(*each))
        if (each->wake != done_callback::settled) return true;
    return false;
}

}  // namespace

namespace {
void destroy_now(shared_core& core) noexcept {
    if (!has_frame(core))
        static_cast<promise_core&>(core).destroy(static_cast<promise_core&>(core));
    else if ((core.flags & shared_core::root) != 0)
        static_cast<promise_base&>(core).drop();
    else
        static_cast<promise_base&>(core).handle().destroy();  // it never began (~task)
}
}  // namespace

// A value may hold the last future of another task, and a task that never began may have another
// one as a parameter, and so on. They are destroyed in a loop, so that the stack stays flat (law
// 7).
void destroy_shared(shared_core& core) noexcept {
    constexpr int deepest = 32;
    thread_local int depth = 0;
    thread_local shared_core* doomed = nullptr;
    if (depth == deepest) {
        core.next_doomed = std::exchange(doomed, &core);
        return;
    }
    ++depth;
    destroy_now(core);
    while (depth == 1 && doomed != nullptr) {
        shared_core& next = *doomed;
        doomed = next.next_doomed;
        destroy_now(next);
    }
    --depth;
}

shared_core& future_core(const task_handle& handle) noexcept { return handle.core(); }

void note_moved_out(shared_core& core) {
    const auto error = std::make_exception_ptr(invalid_state_error(
        "the value of this future was moved out before, and it cannot be copied"));
    core.flags = (core.flags & ~std::uint32_t(shared_core::valued)) | shared_core::seen;
    if (has_frame(core))
        static_cast<promise_base&>(core).fail(error);
    else
        static_cast<promise_core&>(core).fail(error);
}

bool cancel_shared(shared_core& core) noexcept {
    if (core.is_done()) return false;
    if (has_frame(core)) {
        task_record& record = record_of(core);
        const bool is_new = !record.is_cancelled();
        cancel(record);
        return is_new;
    }
    core.flags |= shared_core::was_cancelled;
    core.finish();
    return true;
}

const wait_node* add_done_callback(shared_core& core, function<void()> call) {
    if (!is_open(home_of(core)) || core_of(home_of(core)).closed)
        throw closed_error("the loop of this future has ended");
    auto* callback = new done_callback(home_of(core), std::move(call));
    if (!core.is_done()) {
        core.watchers.append(*callback);
        return callback;
    }
    callback->schedule();
    return nullptr;
}

bool remove_done_callback(shared_core& core, const wait_node* which) noexcept {
    wait_node* node = core.is_done() ? nullptr : core.watchers.first();
    while (node != nullptr && node != which) node = wait_list::next(*node);
    if (node == nullptr) return false;
    core.watchers.remove(*node);
    delete static_cast<done_callback*>(node);
    return true;
}

void start_eagerly(task_record& record) noexcept {
    constexpr int deepest = 32;  // each nests on the stack, which must stay flat (law 7)
    thread_local int depth = 0;
    if (depth == deepest) return record.home->push(record);
    ++depth;
    const thread_state around = here;
    core_of(*record.home).run_inside(record);
    here.next = around.next;
    here.ended = around.ended;
    here.current = around.current;
    here.budget = around.budget;
    --depth;
}

promise_core::~promise_core() {
    if ((flags & (failed | seen | was_cancelled)) != failed || !is_open(*home)) return;
    core_of(*home).report("a promise failed and its exception was never retrieved",
                          std::move(error));
}

void promise_core::fail(std::exception_ptr why) noexcept {
    flags |= failed | (is_cancellation(why) ? was_cancelled : 0u);
    error = std::move(why);
}

std::exception_ptr error_of(shared_core& core) noexcept {
    constexpr std::uint32_t outcomes =
        shared_core::valued | shared_core::failed | shared_core::was_cancelled;
    core.flags |= shared_core::seen;
    if (!has_frame(core)) return static_cast<promise_core&>(core).error;
    if ((core.flags & outcomes) == 0 && core.is_done()) [[unlikely]]
        return without_value(static_cast<promise_base&>(core));
    return static_cast<promise_base&>(core).error();
}

void check_valued(shared_core& core) {
    if ((core.flags & shared_core::valued) != 0) [[likely]]
        return;
    if ((core.flags & shared_core::was_cancelled) != 0)
        throw future_cancelled("the awaited future was cancelled");
    std::rethrow_exception(error_of(core));
}

void must_be_awaitable(shared_core& core) {
    if (core.is_done()) return;
    if (has_frame(core) && &record_of(core) == here.current)
        throw invalid_state_error("a task awaits itself");
    if (&home_of(core) != here.turn)
        throw invalid_state_error("a task awaits a future of another loop");
}

void throw_not_done() { throw invalid_state_error("the future is not done yet"); }

// -- waiting --------------------------------------------------------------------------------------

// Leaves at once; the last waiter cancels the task. That task may be the last waiter of another
// one, and so on. The first call processes what the inner calls find, so that the stack stays flat
// (law 7).
void future_wait::leave(leaf_wait& wait) noexcept {
    thread_local wait_list* left = nullptr;
    auto& self = static_cast<future_wait&>(wait);
    self.core_->watchers.remove(self);
    self.state = refused;
    detail::wake(wait);
    if (left != nullptr) return left->append(self);
    wait_list mine;
    left = &mine;
    for (mine.append(self); !mine.empty();) {
        auto& next = static_cast<future_wait&>(mine.pop());
        if (!next.core_->is_done() && !has_waiters(*next.core_)) cancel_shared(*next.core_);
    }
    left = nullptr;
}

void future_wait::settled(wait_node& node, shared_core*) noexcept {
    detail::wake(static_cast<leaf_wait&>(static_cast<future_wait&>(node)));
}

const char* future_wait::object(const leaf_wait& wait) {
    shared_core& core = *static_cast<const future_wait&>(wait).core_;
    if (!has_frame(core)) return "a promise";
    const task_record& record = record_of(core);
    return name_of(record) != nullptr ? name_of(record) : file_of(record);
}

constinit const wait_kind future_wait::kind_{"await", leave, object};

// True for a task that awaits itself, which would wait for ever, and for a future of another loop,
// which would wake it on the wrong thread.
bool future_wait::is_hopeless() noexcept {
    if ((has_frame(*core_) && &record_of(*core_) == here.current) || &home_of(*core_) != here.turn)
        state = hopeless;
    return state != 0;
}

future_keeper::future_keeper(shared_core& core) noexcept : core_(&core) {
    wait_node::wake = [](wait_node&, shared_core*) noexcept {};
    ++core.holders;
    if (!core.is_done()) core.watchers.append(*this);
}
future_keeper::~future_keeper() {
    if (linked()) core_->watchers.remove(*this);
    if (--core_->holders == 0) destroy_shared(*core_);
}

void future_wait::await_suspend(std::coroutine_handle<> frame, location at) noexcept {
    park(*this, frame, at);
    if (state == 0)
        core_->watchers.append(*this);
    else if (is_refused())
        requeue(*this);
    else
        detail::wake(static_cast<leaf_wait&>(*this));  // it is ready, but other tasks run first
}

void future_wait::throw_end() {
    if (is_refused() || is_cancelled()) throw rondo::cancelled();
    if (state == hopeless) must_be_awaitable(*core_);
    check_valued(*core_);
}

}  // namespace detail

std::string_view task_handle::name() const noexcept {
    const char* const called =
        detail::has_frame(core()) ? detail::name_of(detail::record_of(core())) : nullptr;
    return called != nullptr ? called : std::string_view();
}

task_state task_handle::state() const noexcept {
    if (done()) return task_state::done;
    if (!detail::has_frame(core())) return task_state::waiting;
    const detail::task_record& record = detail::record_of(core());
    if (detail::here.current == &record) return task_state::running;
    if (record.wait == nullptr) return task_state::ready;
    return record.wait->task == nullptr ? task_state::created : task_state::waiting;
}

task_handle current_task() {
    if (detail::here.current == nullptr) throw no_running_loop_error("there is no running task");
    return task_handle(detail::promise_base::of(*detail::here.current));
}

}  // namespace v0
}  // namespace rondo
