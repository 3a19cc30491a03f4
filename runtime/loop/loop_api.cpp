// SPDX-License-Identifier: MIT
// The public interface of the loop: running it, and scheduling callbacks.
#include <rondo/loop.hpp>

#include <stdexcept>

#include "loop/loop_core.hpp"
#include "kernel/kernel_choice.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

void let_go(scheduled_call* call) noexcept {
    if (--call->holders == 0) delete call;
}

/// Removes a call from the list of pending ones: it was called, or will not be.
void finish(scheduled_call& call) noexcept {
    loop_core& core = *std::exchange(call.home, nullptr);
    core.calls.remove(call);
}

void run_call(callback_item& item) noexcept {
    auto& call = static_cast<scheduled_call&>(item);
    if (call.home != nullptr) {
        loop_core& core = *call.home;
        finish(call);
        try {
            call.fn();
        } catch (...) {
            core.report("a callback threw", std::current_exception());
        }
        call.fn.reset();
    }
    let_go(&call);
}

void call_due(timer_node& node) noexcept {
    auto& call = static_cast<scheduled_call&>(node);
    call.queued = true;
    call.home->push(call);
}

scheduled_call& make_call(loop_core& core, function<void()> fn) {
    if (here.turn != &core) core.must_be_ours();
    if (core.closed) throw closed_error("this loop was closed");
    auto* call = new scheduled_call;
    call->fn = std::move(fn);
    call->home = &core;
    call->holders = 1;
    call->point = nullptr;
    call->callback_item::run = run_call;
    call->timer_node::expire = call_due;
    core.calls.prepend(*call);
    return *call;
}

}  // namespace

void drop_calls(loop_core& core) noexcept {
    while (!core.calls.empty()) {
        scheduled_call& call = core.calls.front();
        core.timers.cancel(call);
        finish(call);
        call.fn.reset();
        if (!call.queued) let_go(&call);
    }
}

}  // namespace detail

// -- call_handle ---------------------------------------------------------------------------------

call_handle::call_handle(detail::scheduled_call* call) noexcept : call_(call) { ++call_->holders; }
call_handle::call_handle(const call_handle& other) noexcept : call_(other.call_) {
    if (call_ != nullptr) ++call_->holders;
}
call_handle::~call_handle() {
    if (call_ != nullptr) detail::let_go(call_);
}
void call_handle::cancel() noexcept {
    if (call_ == nullptr || call_->home == nullptr) return;
    const call_handle held = *this;  // the callback, which is destroyed here, may own this handle
    detail::scheduled_call& call = *held.call_;
    call.was_cancelled = true;
    call.home->timers.cancel(call);
    detail::finish(call);
    call.fn.reset();
    if (!call.queued) detail::let_go(&call);  // drops the loop's reference
}
bool call_handle::cancelled() const noexcept { return call_ != nullptr && call_->was_cancelled; }
time_point call_handle::when() const noexcept {
    return call_ != nullptr ? call_->when : time_point();
}

// -- remote --------------------------------------------------------------------------------------

void remote::post(void (*run)(void*), void (*drop)(void*), void* word) const {
    bool taken = false;
    try {
        taken = inbox_->put({run, word});
    } catch (...) {
        if (drop != nullptr) drop(word);
        throw;
    }
    if (taken) return;
    if (drop != nullptr) drop(word);
    throw closed_error("the loop has ended: it takes no more posts");
}

bool remote::try_post(void (*run)(void*), void* word) const noexcept {
    return inbox_->put({run, word});
}

bool remote::try_post(detail::preallocated_post& post) const noexcept { return inbox_->put(post); }

// -- loop ----------------------------------------------------------------------------------------

namespace {

const loop_options& checked(const loop_options& options) {
    if (options.entries == 0)
        throw std::invalid_argument("loop_options::entries must be at least 1");
    if (options.completions == 0)
        throw std::invalid_argument("loop_options::completions must be at least 1");
    if (options.timer_slack < duration::zero())
        throw std::invalid_argument("loop_options::timer_slack must not be negative");
    return options;
}

}  // namespace

loop::loop(loop_options options)
    : loop(detail::make_kernel({options.kernel, checked(options).entries, options.completions,
                                options.quiet_fallback}),
           options) {}

loop::loop(std::shared_ptr<detail::kernel> kernel, loop_options options)
    : core_(std::make_unique<detail::loop_core>(*this, std::move(kernel), checked(options))) {}

loop::~loop() {
    if (core_->is_left()) return;
    if (detail::here.turn == core_.get())
        detail::fail("a loop was destroyed inside its own run, by one of its tasks or callbacks");
    try {
        core_->leave(true);
    } catch (const deadlock_error&) {
        detail::fail("a loop cannot be left: its tasks were cancelled, and nothing can end them");
    } catch (...) {
        detail::fail(core_->why_not_left());
    }
}

void loop::close() {
    if (core_->is_left()) return;
    if (detail::here.turn == core_.get())
        throw invalid_state_error("a loop cannot be closed from inside its own run");
    core_->leave(false);
}

void loop::run() {
    detail::running_turn running(*core_);
    core_->until_no_task = true;
    if (std::exchange(core_->stopping, false)) return void(core_->turn_once(time_point::min()));
    while (core_->tasks() != 0 && !core_->stopping) core_->turn(time_point::max());
}

void loop::run_forever() {
    detail::running_turn running(*core_);
    if (std::exchange(core_->stopping, false)) return void(core_->turn_once(time_point::min()));
    while (!core_->stopping) core_->turn(time_point::max());
}

void loop::check_usable() const { core_->check_usable(); }

void loop::run_until_done(const task_handle& task) { core_->run_until_done(task); }

void loop::stop() noexcept {
    core_->stopping = true;
    if (detail::here.turn != core_.get()) core_->kernel->wake();
}

bool loop::run_once(detail::time_limit timeout) {
    detail::running_turn running(*core_);
    core_->stopping = false;
    return core_->turn_once(saturating_add(core_->kernel->now(), timeout));
}

bool loop::is_running() const noexcept { return detail::here.turn == core_.get(); }
bool loop::is_closed() const noexcept { return core_->closed; }
int loop::fd() { return core_->host_fd(); }
void loop::poll(detail::time_limit budget) { core_->host_poll(budget); }
detail::resumer& loop::home() const {
    if (detail::here.turn != core_.get()) core_->must_be_ours();
    if (core_->closed) throw closed_error("this loop was closed");
    return *core_;
}
remote loop::remote() const noexcept { return rondo::remote(core_->inbox); }
time_point loop::time() const noexcept { return core_->kernel->now(); }

call_handle loop::call_soon(detail::function<void()> fn) {
    detail::scheduled_call& call = detail::make_call(*core_, std::move(fn));
    call.when = core_->kernel->now();
    call.queued = true;
    core_->push(call);
    return call_handle(&call);
}

call_handle loop::call_later(detail::time_limit delay, detail::function<void()> fn) {
    return call_at(saturating_add(core_->kernel->now(), delay), std::move(fn));
}

call_handle loop::call_at(time_point when, detail::function<void()> fn) {
    detail::scheduled_call& call = detail::make_call(*core_, std::move(fn));
    call.when = when;
    call_handle handle(&call);
    try {
        detail::set_timer(*core_, call, when);
    } catch (...) {
        handle.cancel();
        throw;
    }
    return handle;
}

loop_stats loop::stats() const noexcept {
    loop_stats s = core_->counted;
    const auto kernel = core_->kernel->count();
    s.tasks = core_->tasks();
    s.frames = detail::live_frames();
    s.operations = core_->operations;
    s.timers = core_->timers.size();
    s.entries = kernel.entries;
    s.completions = kernel.completions;
    s.enters = kernel.enters;
    s.kernel = core_->kernel->name();
    return s;
}

void loop::set_exception_handler(detail::function<void(const exception_context&)> handler) {
    if (!handler)
        core_->handler.reset();
    else
        core_->handler =
            std::make_shared<detail::function<void(const exception_context&)>>(std::move(handler));
}

void loop::at_shutdown(detail::function<void()> hook) { core_->hooks.push_back(std::move(hook)); }

std::shared_ptr<void>& loop::extension(const void* key) {
    for (auto& [owner, object] : core_->extensions)
        if (owner == key) return object;
    return core_->extensions.emplace_back(key, nullptr).second;
}

}  // namespace v0
}  // namespace rondo
