// SPDX-License-Identifier: MIT
// The connections of a session: limits, lines of waiters, idle connections.
//
// A request takes a seat of its host and one of the session, in that order; both are semaphores, so
// waiters are served in order and a cancelled one leaves no trace. An idle connection has no seat.
// If connections would exceed the limit, the one that is idle for the longest time is closed.
//
// A connection of HTTP/2 is shared: the request that made it brings its seats in, and those that
// join need none. So a request that may be one of HTTP/2 waits in the line of its host, for a place
// on a shared connection or for seats, whichever comes first. One task stands in the lines for
// seats on behalf of all that wait there. While a connection is being made that may turn out to be
// one of HTTP/2, that task waits for the answer.
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
#include "http/spare_list.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

class http_pool;

/// Buffers of the same size, which responses take in turn.
class http_buffers {
public:
    static constexpr std::size_t size = std::size_t{16} * 1024;

    std::unique_ptr<char[]> take() {
        auto spare = spare_.take();
        return spare ? std::move(spare) : std::make_unique_for_overwrite<char[]>(size);
    }
    void give_back(std::unique_ptr<char[]> buffer) noexcept {
        spare_.give(std::move(buffer));
    }
    void clear() noexcept { spare_.clear(); }

private:
    spare_list<char[]> spare_{16};
};

struct http_host;
enum class http_knowledge : std::uint8_t;

/// A connection that several exchanges use at a time. The pool owns it, and counts its users.
class http_shared_connection {
public:
    virtual ~http_shared_connection() = default;

    /// Exchanges that it can have at a time; 0: no further one.
    virtual std::size_t room() const noexcept = 0;
    /// Whether it is alive, by a question to the peer if nothing has come for long.
    virtual task<bool> is_alive() = 0;
    /// Ends it, and waits for that.
    virtual task<> close() = 0;
    /// Ends it at once.
    virtual void abort() noexcept = 0;

protected:
    /// For the connection: it has ended, or its room has become known or has changed.
    void tell_ended() noexcept;
    void tell_room() noexcept;
    std::size_t users() const noexcept { return users_; }

private:
    friend class http_pool;
    friend class http_lease;
    void tell_silent() noexcept;
    void end_negotiation(http_host& host, http_knowledge found) noexcept;

    std::weak_ptr<http_pool> pool_;
    std::weak_ptr<http_host> host_;
    permit host_permit_;  // while it has users
    permit permit_;
    std::size_t users_ = 0;
    bool negotiates_ = false;  // others wait until its room is known
    call_handle patience_;     // the end of that
    bool has_told_ = false;    // its room
    duration keep_{};
    time_point idle_since_{};
    time_point idle_until_{};
};

/// Which connections a request can use.
enum class http_wanted : std::uint8_t {
    plain,   ///< of HTTP/1.1
    shared,  ///< of HTTP/2
    either,  ///< the server decides
};

/// The right to use a connection: one of its own, or a place on one that is shared. Destroyed, it
/// closes its own connection.
class http_lease {
public:
    http_lease() noexcept = default;
    http_lease(http_lease&&) noexcept = default;
    http_lease& operator=(http_lease&& other) noexcept;
    ~http_lease() { reset(); }

    http_connection* connection() const noexcept { return connection_.get(); }
    const std::shared_ptr<http_shared_connection>& shared() const noexcept { return shared_; }
    /// Uses a new connection, of HTTP/1.1.
    void connect(http_connection::any_stream stream);
    /// Uses a new connection, which others may join. It is kept for `keep` when it is idle.
    /// After `patience` others wait no longer for news of it; zero: they wait.
    void share(std::shared_ptr<http_shared_connection> made, duration keep, duration patience);
    /// No connection could be made: others need not wait for this one.
    void fail() noexcept;
    /// It needs no new connection after all: another one may find out the version.
    void stop_negotiating() noexcept;
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

    std::shared_ptr<http_pool> pool_;
    std::shared_ptr<http_host> host_;  // destroyed after the permits
    permit host_permit_;
    permit permit_;
    std::unique_ptr<http_connection> connection_;
    std::shared_ptr<http_shared_connection> shared_;
    bool reused_ = false;
    bool negotiates_ = false;  // others wait for what it finds
};

class http_pool : public std::enable_shared_from_this<http_pool> {
public:
    http_pool(std::size_t connections, std::size_t per_host)
        : limit_(connections), per_host_(per_host), seats_(connections) {}
    http_pool(const http_pool&) = delete;
    http_pool& operator=(const http_pool&) = delete;
    ~http_pool();

    /// Waits for the right to use a connection to `key`. A connection that is shared or idle comes
    /// with it; otherwise the caller connects. `fresh`: none that is idle.
    /// Cancel: leaves the line.
    task<http_lease> acquire(std::string key, http_wanted wanted, bool fresh);

    std::size_t connections() const noexcept { return idle_count_ + in_use(); }
    std::size_t idle() const noexcept { return idle_count_; }
    /// Closes the idle connections; from now on connections that are given back are closed too.
    task<> close();
    void close_now() noexcept;

private:
    friend class http_lease;
    friend class http_shared_connection;

    std::size_t in_use() const noexcept { return limit_ - seats_.available(); }
    std::shared_ptr<http_host> host_of(std::string key);
    std::unique_ptr<http_connection> take_idle(http_host& host) noexcept;
    void keep(http_host& host, std::unique_ptr<http_connection> connection, duration span);
    void move_in() noexcept;
    void close_idle() noexcept;
    void make_room() noexcept;
    void close_expired();
    void set_timer(time_point when);
    static bool is_unused(const http_host& host) noexcept;
    void forget_if_unused(const http_host& host) noexcept;

    // -- shared.cpp: connections of HTTP/2
    task<> find_place(http_lease& lease);
    bool join(http_lease& lease) noexcept;
    bool take_seats(http_lease& lease) noexcept;
    void take_grant(http_lease& lease) noexcept;
    void pass_grant(http_host& host) noexcept;
    static task<> seek_seats(std::shared_ptr<http_pool> pool, std::shared_ptr<http_host> host);
    bool take_idle_shared(http_lease& lease) noexcept;
    void leave(http_host& host, http_shared_connection& from) noexcept;
    void serve_line(http_host& host) noexcept;
    void make_idle(http_host& host, http_shared_connection& which);
    void remove(http_host& host, http_shared_connection& which) noexcept;
    void abort_idle(http_host& host, time_point until) noexcept;

    std::optional<remote> home_;  // the loop of the idle connections
    std::size_t limit_;
    std::size_t per_host_;
    semaphore seats_;
    std::unordered_map<std::string, std::shared_ptr<http_host>> hosts_;
    std::size_t idle_count_ = 0;
    std::shared_ptr<http_buffers> buffers_ = std::make_shared<http_buffers>();
    call_handle timer_;
    time_point timer_at_ = time_point::max();  // max: not set
    time_point last_kept_{};                   // when a connection was given back last
    bool closed_ = false;
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
