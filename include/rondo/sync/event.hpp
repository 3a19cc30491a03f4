// SPDX-License-Identifier: MIT
// A flag that tasks can wait for. `set` releases every task that waits at that moment, even if the
// event is cleared before they run (as in asyncio; trio's events cannot be cleared). If something
// happens again and again, use a condition or a watch.
#pragma once

#include <cstddef>
#include <string>

#include <rondo/sync/guard.hpp>

namespace rondo {
inline namespace v0 {

namespace detail {
class event_wait;
}

/// An event; clear when constructed.
/// Thread: its loop's.
/// See:    asyncio.Event.
class RONDO_API event {
public:
    event() noexcept = default;

    /// Sets the event: all waiters resume, and later waits return at once until `clear`.
    void set() noexcept {
        set_ = true;
        line_.unpark_all();
    }
    /// Clears the event: later waits suspend again.
    void clear() noexcept { set_ = false; }
    /// True if a wait would not suspend.
    bool is_set() const noexcept { return set_; }

    /// `co_await e.wait();` waits until the event is set.
    /// Cancel: leaves; nothing was granted, so nothing is lost.
    detail::waiting_for<detail::event_wait, event> wait() noexcept;

    /// The number of waiters.
    std::size_t waiting() const noexcept { return line_.size(); }
    /// A text for diagnostics: "an event that is not set and 2 wait".
    std::string describe() const;

private:
    friend class detail::event_wait;
    std::string state() const;

    wait_queue line_;
    bool set_ = false;
};

namespace detail {

/// The awaiter of event::wait.
class RONDO_API event_wait : public queue_wait {
public:
    static constexpr bool can_be_asked = true;  // see select.hpp
    explicit event_wait(event& e) noexcept : queue_wait(kind_, e.line_), event_(&e) {}
    bool await_ready() noexcept {
        return is_cancelled() ? cancel_at_start() : (event_->set_ && acquired());
    }
    void await_resume() {
        finish([] {});
    }

private:
    static const wait_kind kind_;
    static const char* object(const leaf_wait& wait);
    event* event_;
};

}  // namespace detail

inline detail::waiting_for<detail::event_wait, event> event::wait() noexcept {
    return detail::waiting_for<detail::event_wait, event>(*this);
}

}  // namespace v0
}  // namespace rondo
