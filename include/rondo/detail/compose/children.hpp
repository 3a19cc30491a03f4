// SPDX-License-Identifier: MIT
// Tasks that may not outlive a scope: what gather, map_concurrent, race and task groups are made of.
//
// The children hang below this scope, so that whatever cancels the parent reaches them. It hears of each
// end by the tree too (listening_scope), so starting a child costs nothing beyond its frame. The first error
// cancels the others; failed children are kept in a list that runs through their own records, in the
// order in which they failed, so that keeping them cannot fail either.
//
// The wait for the end cannot be left: a request reaches the children by the tree, and they end.
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

/// Waits until fewer than `limit` children run. One that may be left ends earlier on a request.
class RONDO_API children_awaiter : leaf_wait {
public:
    enum class on_request { stay, leave };
    children_awaiter(children& group, std::size_t limit, on_request what) noexcept;
    bool await_ready() noexcept;
    void await_suspend(std::coroutine_handle<> frame,
                       location at = location::current()) noexcept;
    void await_resume() const {
        if (state == refused) throw cancelled();
    }

private:
    friend class children;
    friend struct children_kinds;
    enum : std::uint32_t { refused = 1 };
    children* group_;
    std::size_t limit_;
};

class RONDO_API children : listening_scope {
public:
    /// When the end of one child cancels the others: if it gave no value (gather), if it failed (task groups: one that
    /// was cancelled by its own future concerns nobody else), never (gather_settled), if it gave a value (race).
    enum class others { end_without_value, end_on_failure, go_on, end_on_value };

    /// `what` names the verb in reports.
    explicit children(const char* what, others policy = others::end_without_value) noexcept;
    ~children();

    /// Starts `t` below this scope; it first runs when its turn comes, in this order.
    template <class T>
    future<T> start(task<T> t, location where = location::current()) {
        promise_base& frame = t.release();
        launch(frame, *owner().home, *this, where);
        ++running_;
        return future<T>(frame);
    }

    std::size_t running() const noexcept { return running_; }
    /// Were the children told to end? Then it is no use to start more.
    bool over() const noexcept { return is_reached(); }

    /// Of a race: the first child that gave a value; null where none did.
    const shared_core* winner() const noexcept { return winner_; }

    /// Did a child, or the parent, end without a value?
    bool incomplete() const noexcept { return incomplete_; }

    void cancel() noexcept { detail::cancel(*this); }
    /// An error of the parent's own: the children are not needed any more. The first one counts.
    void fail(std::exception_ptr error) noexcept;
    /// The parent's body was left by `cancelled`, the current exception. That is an error unless it was asked to stop.
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
    waiting fewer_than(std::size_t limit) noexcept { return {*this, limit, waiting::on_request::stay}; }
    waiting ended() noexcept { return fewer_than(1); }
    /// The next end of a child. Cancel: leaves at once, as other waits do.
    waiting next_end() noexcept { return {*this, running_, waiting::on_request::leave}; }

    /// After the end: throws the first error, as the type it is; the further ones go to the exception handler.
    /// Throws: also `cancelled`, where the children ended because they were asked to, and their parent was too.
    void rethrow();
    /// As rethrow, but for a scope that may have been cancelled from inside: that is a normal end.
    void rethrow_but_own_cancel();
    /// Throws every error in one, if there is any.
    void throw_all_errors();
    std::vector<std::exception_ptr> errors() const;

private:
    friend class children_awaiter;
    friend struct children_kinds;
    void child_ended(shared_core& core) noexcept;
    void ended_without_value(promise_base& frame) noexcept;
    void won(const shared_core& core) noexcept;
    void add_failed(promise_base& frame) noexcept;
    void report_further(const std::exception_ptr& first) noexcept;

    const char* what_;
    std::size_t running_ = 0;
    children_awaiter* waiter_ = nullptr;
    std::exception_ptr own_error_;        // of the parent
    bool own_first_ = false;              // it came before any child's
    ready_queue failed_;                  // records of children: they are not made ready any more
    const shared_core* winner_ = nullptr;
    bool incomplete_ = false;
    bool by_itself_ = false;  // a child was cancelled by its own future: it has no value and no error
    others policy_;
};

/// Tasks are started as they are, everything else is awaited by a task.
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
