// SPDX-License-Identifier: MIT
// Limits of time of a server's connection or stream.
#pragma once

#include <rondo/loop.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

/// One timer for all limits of a connection. A limit that is later than the one before costs no
/// more than a store: the timer is set again when the earlier one has come.
class http_clock : timer_node {
public:
    using expiry = void (*)(void*) noexcept;
    http_clock(expiry on_expiry, void* context) noexcept;
    ~http_clock();

    /// Expires `limit` from now; never if it is zero.
    void set(duration limit);
    void clear() noexcept { deadline_ = time_point::max(); }

private:
    static void due(timer_node& node) noexcept;

    expiry on_expiry_;
    void* context_;
    resumer* home_;
    time_point deadline_ = time_point::max();
    time_point armed_ = time_point::max();
};

/// A limit of time for a wait, which ends with the block.
class time_in {
public:
    time_in(http_clock& clock, duration limit) : clock_(clock) { clock_.set(limit); }
    time_in(const time_in&) = delete;
    ~time_in() { clock_.clear(); }

private:
    http_clock& clock_;
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
