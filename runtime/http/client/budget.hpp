// SPDX-License-Identifier: MIT
// The limits of time of one request: each wait has one of its own, and all of them together have
// the total.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <rondo/http/error.hpp>
#include <rondo/http/trace.hpp>
#include <rondo/loop.hpp>
#include <rondo/sleep.hpp>
#include <rondo/task.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

using http_trace_hook = function<void(const http::trace_event&)>;

/// The parts of a trace_event that differ from one moment to another.
struct http_trace_note {
    duration took{};
    int status = 0;
    std::uint64_t bytes = 0;
    bool reused = false;
    std::string_view text{};
};

class http_budget {
public:
    http_budget() : began_(running_loop().time()) {}

    /// Limits everything from the beginning to now + `total`; zero: no limit.
    void limit_total(duration total) noexcept {
        total_ = total > duration::zero() ? total : duration::max();
    }
    /// For the texts of errors.
    void set_request(std::string method, std::string url) {
        method_ = std::move(method);
        url_ = std::move(url);
    }
    const std::string& method() const noexcept { return method_; }
    const std::string& url() const noexcept { return url_; }

    time_point began() const noexcept { return began_; }
    duration spent() const { return running_loop().time() - began_; }
    duration left() const {
        return total_ == duration::max() ? total_ : std::max(total_ - spent(), duration::zero());
    }

    /// Awaits `inner` for at most `limit`, and not longer than the total allows. Zero: no limit.
    /// `spent` of the limit has been spent already, by earlier waits for the same thing.
    /// Throws: http::timeout_error.
    template <class A>
    task<awaited<A>> limited(http::phase phase, duration limit, A inner, duration spent = {}) {
        const duration own = limit <= duration::zero()
                                 ? duration::max()
                                 : std::max(limit - spent, duration::zero());
        const duration rest = left();
        const bool total_is_less = rest < own;
        const duration span = std::min(rest, own);
        if (span == duration::max()) co_return co_await std::move(inner);
        try {
            co_return co_await wait_for(span, std::move(inner));
        } catch (const http::timeout_error&) {
            throw;
        } catch (const rondo::timeout_error&) {
            throw http::timeout_error(phase, total_is_less ? total_ : limit, method_, url_, bytes);
        }
    }

    /// Tells the session's hook from now on, if it has one.
    void trace(std::shared_ptr<http_trace_hook> hook, std::uint64_t number) noexcept {
        hook_ = std::move(hook);
        number_ = number;
    }
    bool is_traced() const noexcept { return hook_ != nullptr; }
    /// Costs one comparison if there is no hook.
    void tell(http::trace_point point, const http_trace_note& note = {}) const noexcept {
        if (hook_) tell_now(point, note);
    }

    std::uint64_t bytes = 0;  // of the body, so far

private:
    time_point began_;
    duration total_ = duration::max();
    std::string method_;
    std::string url_;
    void tell_now(http::trace_point point, const http_trace_note& note) const noexcept;

    std::shared_ptr<http_trace_hook> hook_;  // null: none
    std::uint64_t number_ = 0;
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
