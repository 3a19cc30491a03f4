// SPDX-License-Identifier: MIT
// The latest value of something, for everybody who wants to follow it: a configuration, a state, a
// progress. What was overwritten before a receiver looked is of no interest to it, but the last
// value is never missed, not even if it is set while the receiver is busy, or directly before the
// end.
//
// A receiver is a number: the version it has seen. So there is nothing to subscribe to and nothing
// to unsubscribe, and a receiver that went away costs nothing.
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

/// What a watch is whatever it holds.
class RONDO_API watch_base {
public:
    /// The version of the present value: 1 for the first. Who has seen none yet says 0.
    std::uint64_t version() const noexcept { return version_; }

    /// `while (co_await w.changed(seen)) use(w.get());` waits until there is a version that is not
    /// `seen`, and puts it there. False, when it is closed and the last value has been seen. `seen`
    /// must stay where it is.
    /// Cancel: leaves; `seen` is as before, so nothing is missed.
    waiting_for<watch_wait, watch_base, std::uint64_t*> changed(std::uint64_t& seen) noexcept;

    /// There will be no further value.
    void close() noexcept {
        closed_ = true;
        line_.unpark_all();
    }
    /// Was it closed?
    bool closed() const noexcept { return closed_; }

    /// How many wait.
    std::size_t waiting() const noexcept { return line_.size(); }
    /// "a watch at version 3 and 2 wait".
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
    watch_wait(watch_base& w, std::uint64_t* seen) noexcept
        : queue_wait(kind_, w.line_), watch_(&w), seen_(seen) {}
    bool await_ready() noexcept {
        return is_cancelled() ? cancel_at_start() : ((*seen_ != watch_->version_ || watch_->closed_) && acquired());
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

/// A value and everybody who follows it.
/// Thread: its loop's.
/// See:    tokio::sync::watch.
template <class T>
class watch : public detail::watch_base {
public:
    /// A T of its own making is the first value.
    watch() = default;
    /// `value` is the first one.
    explicit watch(T value) : value_(std::move(value)) {}

    /// The latest value. The reference is good until the next `set`.
    const T& get() const noexcept { return value_; }

    /// Replaces the value; everybody who waits goes on.
    /// Throws: closed_error, what moving a T throws.
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
