// SPDX-License-Identifier: MIT
// The connections of a session: limits, lines of waiters, idle connections.
//
// A request takes a seat of its host and one of the session, in that order; both are semaphores, so
// waiters are served in order and a cancelled one leaves no trace. An idle connection has no seat.
// If connections would exceed the limit, the one that is idle for the longest time is closed.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <rondo/loop.hpp>
#include <rondo/sync.hpp>
#include <rondo/task.hpp>

#include "http/client/connection.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

class http_pool;

/// Buffers of the same size, which responses take in turn. If each response had one from malloc,
/// the heap would grow and shrink all the time: page faults that cost more than a request.
class http_buffers {
public:
    static constexpr std::size_t size = std::size_t{16} * 1024;

    std::unique_ptr<char[]> take() {
        if (spare_.empty()) return std::make_unique_for_overwrite<char[]>(size);
        auto last = std::move(spare_.back());
        spare_.pop_back();
        return last;
    }
    void give_back(std::unique_ptr<char[]> buffer) noexcept {
        if (buffer && spare_.size() < spare_.capacity()) spare_.push_back(std::move(buffer));
    }
    void clear() noexcept { spare_.clear(); }

    http_buffers() { spare_.reserve(16); }

private:
    std::vector<std::unique_ptr<char[]>> spare_;
};

/// The right to use one connection, and the connection. Destroyed, it closes the connection.
class http_lease {
public:
    http_lease() noexcept = default;
    http_lease(http_lease&&) noexcept = default;
    http_lease& operator=(http_lease&& other) noexcept;
    ~http_lease() { reset(); }

    http_connection* connection() const noexcept { return connection_.get(); }
    /// Uses a new connection.
    void connect(http_connection::any_stream stream);
    /// True if the connection has served a request before.
    bool is_reused() const noexcept { return reused_; }

    /// Those of the pool. Empty if the lease is.
    std::shared_ptr<http_buffers> buffers() const noexcept;
    /// Takes the connection out of the pool for good: it has switched to another protocol.
    std::unique_ptr<http_connection> take() noexcept;
    /// Gives the connection back; it stays open for at most `keep`.
    void give_back(duration keep) noexcept;
    /// Closes the connection and gives up the seats.
    void reset() noexcept;

private:
    friend class http_pool;
    struct seats;

    std::shared_ptr<http_pool> pool_;
    std::shared_ptr<seats> host_;  // destroyed after the permits
    permit host_permit_;
    permit permit_;
    std::unique_ptr<http_connection> connection_;
    bool reused_ = false;
};

class http_pool : public std::enable_shared_from_this<http_pool> {
public:
    http_pool(std::size_t connections, std::size_t per_host)
        : limit_(connections), per_host_(per_host), seats_(connections) {}
    http_pool(const http_pool&) = delete;
    http_pool& operator=(const http_pool&) = delete;
    ~http_pool();

    /// Waits for the right to use a connection to `key`. An idle connection comes with it, unless
    /// `fresh` is asked for; otherwise the caller connects.
    /// Cancel: leaves the line.
    task<http_lease> acquire(std::string key, bool fresh);

    std::size_t connections() const noexcept { return idle_count_ + in_use(); }
    std::size_t idle() const noexcept { return idle_count_; }
    /// Closes the idle connections; from now on connections that are given back are closed too.
    task<> close();
    void close_now() noexcept;

private:
    friend class http_lease;
    using idle_list = std::vector<std::unique_ptr<http_connection>>;

    std::size_t in_use() const noexcept { return limit_ - seats_.available(); }
    std::shared_ptr<http_lease::seats> host_of(std::string key);
    std::unique_ptr<http_connection> take_idle(http_lease::seats& host) noexcept;
    void keep(http_lease::seats& host, std::unique_ptr<http_connection> connection, duration span);
    void move_in() noexcept;
    void close_idle() noexcept;
    void make_room() noexcept;
    void close_expired();
    void set_timer(time_point when);
    void forget_if_unused(const http_lease::seats& host) noexcept;

    std::optional<remote> home_;  // the loop of the idle connections
    std::size_t limit_;
    std::size_t per_host_;
    semaphore seats_;
    std::unordered_map<std::string, std::shared_ptr<http_lease::seats>> hosts_;
    std::size_t idle_count_ = 0;
    std::shared_ptr<http_buffers> buffers_ = std::make_shared<http_buffers>();
    call_handle timer_;
    time_point timer_at_ = time_point::max();  // max: not set
    bool closed_ = false;
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
