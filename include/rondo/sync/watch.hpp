// SPDX-License-Identifier: MIT
// The latest value of something, for every task that follows it: a configuration, a state, a
// progress. A receiver skips values that were overwritten before it looked. It never misses the
// last value, even if that is set while the receiver is busy, or directly before the end.
//
// A receiver is a number: the version that it has seen. So there is no subscription, and a receiver
// that goes away costs nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include <rondo/sync/guard.hpp>

namespace rondo {
inline namespace v0 {

namespace detail {

class watch_wait;

/// The part of watch<T> that does not depend on T.
class RONDO_API watch_base {
public:
    /// The version of the current value; the first value has version 1. A receiver that has seen no
    /// value yet uses 0.
    std::uint64_t version() const noexcept { return version_; }

    /// `while (co_await w.changed(seen)) use(w.get());` waits until the version differs from
    /// `seen`, and stores the version in `seen`. Returns false if the watch is closed and its last
    /// value has been seen. `seen` must outlive the await.
    /// Cancel: leaves; `seen` is unchanged, so no value is missed.
    waiting_for<watch_wait, watch_base, std::uint64_t*> changed(std::uint64_t& seen) noexcept;

    /// Ends the watch: no further value can be set.
    void close() noexcept {
        closed_ = true;
        line_.unpark_all();
    }
    bool closed() const noexcept { return closed_; }

    /// The number of waiters.
    std::size_t waiting() const noexcept { return line_.size(); }
    /// A text for diagnostics: "a watch at version 3 and 2 wait".
    std::string describe() const;

protected:
    watch_base() noexcept = default;
    void check_open() const;
    void announce() noexcept {
        ++version_;
        line_.unpark_all();
    }

private:
    friend class watch_wait;
    std::string state() const;

    wait_queue line_;
    std::uint64_t version_ = 1;
    bool closed_ = false;
};

/// The awaiter of watch::changed.
class RONDO_API watch_wait : public queue_wait {
public:
    static constexpr bool can_be_asked = true;  // see select.hpp
    watch_wait(watch_base& w, std::uint64_t* seen) noexcept
        : queue_wait(kind_, w.line_), watch_(&w), seen_(seen) {}
    bool await_ready() noexcept {
        return is_cancelled() ? cancel_at_start()
                              : ((*seen_ != watch_->version_ || watch_->closed_) && acquired());
    }
    bool await_resume() {
        finish([] {});
        return std::exchange(*seen_, watch_->version_) != watch_->version_;
    }

private:
    static const wait_kind kind_;
    static const char* object(const leaf_wait& wait);
    watch_base* watch_;
    std::uint64_t* seen_;
};

inline waiting_for<watch_wait, watch_base, std::uint64_t*> watch_base::changed(
    std::uint64_t& seen) noexcept {
    return {*this, &seen};
}

}  // namespace detail

/// A value that tasks can follow.
/// Thread: its loop's.
/// See:    tokio::sync::watch.
template <class T>
class watch : public detail::watch_base {
public:
    /// The first value is default-constructed.
    watch() = default;
    /// The first value is `value`.
    explicit watch(T value) : value_(std::move(value)) {}

    /// The latest value. The reference is valid until the next `set`.
    const T& get() const noexcept { return value_; }

    /// Replaces the value and wakes all waiters.
    /// Throws: closed_error; the exception of moving a T.
    void set(T value) {
        check_open();
        value_ = std::move(value);
        announce();
    }

private:
    T value_{};
};

}  // namespace v0
}  // namespace rondo
