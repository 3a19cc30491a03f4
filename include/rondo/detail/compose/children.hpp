// SPDX-License-Identifier: MIT
// Child tasks that must not outlive a scope: the base of gather, map_concurrent, race and task
// groups.
//
// The children hang below this scope, so that a cancellation of the parent reaches them. The scope
// hears of each end by the tree too (listening_scope), so starting a child costs nothing beyond its
// frame. The first error cancels the others. Failed children are kept in a list that runs through
// their own records, in the order in which they failed, so that keeping them cannot fail either.
//
// The wait for the end cannot be left: a cancellation reaches the children by the tree, and they
// end.
#pragma once

#include <rondo/config.hpp>

#include <coroutine>
#include <cstddef>
#include <exception>
#include <utility>
#include <vector>

#include <rondo/detail/coroutine/guarded.hpp>
#include <rondo/future.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

class children;

/// Waits until fewer than `limit` children run. With on_request::leave it ends earlier on a
/// cancellation.
class RONDO_API children_awaiter : leaf_wait {
public:
    enum class on_request { stay, leave };
    children_awaiter(children& group, std::size_t limit, on_request what) noexcept;
    bool await_ready() noexcept;
    void await_suspend(std::coroutine_handle<> frame,
                       location at = location::current()) noexcept;
    void await_resume() const {
        if (is_refused()) throw cancelled();
    }

private:
    friend class children;
    friend struct children_kinds;
    children* group_;
    std::size_t limit_;
};

class RONDO_API children : listening_scope {
public:
    /// When the end of one child cancels the others: if it gave no value (gather); if it failed
    /// (task groups, where a child that was cancelled by its own future does not count); never
    /// (gather_settled); if it gave a value (race_success); in any case (race, select).
    enum class others { end_without_value, end_on_failure, go_on, end_on_value, end_on_end };

    /// `what` names the function in reports.
    explicit children(const char* what, others policy = others::end_without_value) noexcept;
    ~children();

    /// Starts `t` below this scope. Children first run in the order in which they were started.
    template <class T>
    future<T> start(task<T> t, location where = location::current()) {
        promise_base& frame = t.release();
        launch(frame, *owner().home, *this, where);
        ++running_;
        return future<T>(frame);
    }

    std::size_t running() const noexcept { return running_; }
    /// True if the children were cancelled: there is no use in starting more.
    bool over() const noexcept { return is_reached(); }

    /// For a race: the child that won, by its value; null if none did.
    const shared_core* winner() const noexcept { return winner_; }

    /// True if a child, or the parent, ended without a value.
    bool incomplete() const noexcept { return incomplete_; }

    void cancel() noexcept { detail::cancel(*this); }
    /// Records an error of the parent and cancels the children. The first one counts.
    void fail(std::exception_ptr error) noexcept;
    /// Records that the parent's body was left by `cancelled`, the current exception. That counts
    /// as an error unless this scope was cancelled.
    void stopped() noexcept;

    /// `co_await group.fewer_than(n)`
    struct waiting : only_in_tasks {
        using on_request = children_awaiter::on_request;
        children* group;
        std::size_t limit;
        on_request what;
        waiting(children& g, std::size_t n, on_request w) noexcept : group(&g), limit(n), what(w) {}
        children_awaiter rondo_awaiter() const noexcept { return {*group, limit, what}; }
    };
    waiting fewer_than(std::size_t limit) noexcept {
        return {*this, limit, waiting::on_request::stay};
    }
    waiting ended() noexcept { return fewer_than(1); }
    /// Waits for the next end of a child. A cancellation ends the wait at once, as in other waits.
    waiting next_end() noexcept { return {*this, running_, waiting::on_request::leave}; }

    /// After the end: throws the first error, as the type it is; further errors go to the exception
    /// handler. Throws `cancelled` if the children ended because they and their parent were
    /// cancelled.
    void rethrow();
    /// As rethrow, but returns if the children ended by this scope's own cancel().
    void rethrow_but_own_cancel();
    /// Throws a group_error with all errors, if there are any.
    void throw_all_errors();
    std::vector<std::exception_ptr> errors() const;

private:
    friend class children_awaiter;
    friend struct children_kinds;
    void child_ended(shared_core& core) noexcept;
    void ended_without_value(promise_base& frame) noexcept;
    bool may_win() const noexcept;
    void won(const shared_core& core) noexcept;
    void add_failed(promise_base& frame) noexcept;
    void report_further(const std::exception_ptr& first) noexcept;

    const char* what_;
    std::size_t running_ = 0;
    children_awaiter* waiter_ = nullptr;
    std::exception_ptr own_error_;  // of the parent
    bool own_first_ = false;        // own_error_ came before any child's error
    ready_queue failed_;            // records of children, which are not made ready any more
    const shared_core* winner_ = nullptr;
    bool incomplete_ = false;
    bool by_itself_ = false;  // a child was cancelled by its own future: no value and no error
    others policy_;
};

/// The task to start for an awaitable: a task itself, or a new task that awaits it.
template <class T>
task<T> to_task(task<T> t) noexcept {
    return t;
}
template <class T>
task<T> to_task(guarded_task<T> t) noexcept {
    return std::move(t);
}
template <class A>
task<awaited<A>> to_task(A awaitable) {
    return as_task(std::move(awaitable));
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
