// SPDX-License-Identifier: MIT
// A flag that can be waited for. Whoever waits when it is set goes on, also where it is cleared
// before they run: that they were told is what counts, as in asyncio. trio's events cannot be
// cleared; for "again and again" take a condition or a watch.
#pragma once

#include <cstddef>
#include <string>

#include <rondo/sync/guard.hpp>

namespace rondo {
inline namespace v0 {

namespace detail {
class event_wait;
}

/// Clear at first.
/// Thread: its loop's.
/// See:    asyncio.Event.
class RONDO_API event {
public:
    event() noexcept = default;

    /// Sets it: everybody who waits goes on, and so does whoever comes while it is set.
    void set() noexcept {
        set_ = true;
        line_.unpark_all();
    }
    /// Whoever comes from now on waits again.
    void clear() noexcept { set_ = false; }
    /// Would a wait go through?
    bool is_set() const noexcept { return set_; }

    /// `co_await e.wait();` until it is set.
    /// Cancel: leaves; nothing was granted, and nothing is lost.
    detail::waiting_for<detail::event_wait, event> wait() noexcept;

    /// How many wait.
    std::size_t waiting() const noexcept { return line_.size(); }
    /// "an event that is not set and 2 wait".
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
    explicit event_wait(event& e) noexcept : queue_wait(kind_, e.line_), event_(&e) {}
    bool await_ready() noexcept { return is_cancelled() ? cancel_at_start() : (event_->set_ && acquired()); }
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
