// SPDX-License-Identifier: MIT
// The pool's part for connections of HTTP/2: who joins, who waits, and when one is idle.
#include <algorithm>

#include <rondo/create_task.hpp>

#include "http/client/host.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

// -- lease ---------------------------------------------------------------------------------------
void http_lease::share(std::shared_ptr<http_shared_connection> made, duration keep,
                       duration patience) {
    made->pool_ = pool_;
    made->host_ = host_;
    made->keep_ = keep;
    host_->shared.push_back(made);
    made->users_ = 1;
    made->host_permit_ = std::move(host_permit_);
    made->permit_ = std::move(permit_);
    shared_ = std::move(made);
    reused_ = false;
    shared_->negotiates_ = std::exchange(negotiates_, false);
    if (!shared_->negotiates_ || patience <= duration::zero()) return;
    const std::weak_ptr<http_shared_connection> made_here = shared_;
    shared_->patience_ = running_loop().call_at(running_loop().time() + patience, [made_here] {
        if (const auto alive = made_here.lock()) alive->tell_silent();
    });
}

void http_lease::fail() noexcept {
    if (!std::exchange(negotiates_, false)) return;
    host_->known = http_host::knowledge::plain;
    host_->answers.unpark_all();
}

void http_lease::stop_negotiating() noexcept {
    if (!std::exchange(negotiates_, false)) return;
    host_->known = http_host::knowledge::none;
    host_->answers.unpark_all();
}

// -- the connection's news -----------------------------------------------------------------------
void http_shared_connection::tell_ended() noexcept {
    const auto pool = pool_.lock();
    const auto host = host_.lock();
    if (!pool || !host) return;
    pool->remove(*host, *this);
    pool->forget_if_unused(*host);
}

void http_shared_connection::tell_room() noexcept {
    has_told_ = true;
    const auto pool = pool_.lock();
    const auto host = host_.lock();
    if (!pool || !host) return;
    end_negotiation(*host, http_host::knowledge::none);
    pool->serve_line(*host);
}

/// It does not say its room: from now on none waits for it.
void http_shared_connection::tell_silent() noexcept {
    if (const auto host = host_.lock()) end_negotiation(*host, http_host::knowledge::plain);
}

void http_shared_connection::end_negotiation(http_host& host, http_knowledge found) noexcept {
    if (!std::exchange(negotiates_, false)) return;
    patience_.cancel();
    host.known = found;
    host.answers.unpark_all();
}

// -- places --------------------------------------------------------------------------------------
/// Takes a place on a connection that is at work, if one is free.
bool http_pool::join(http_lease& lease) noexcept {
    for (const auto& each : lease.host_->shared) {
        if (each->users_ == 0 || each->users_ >= each->room()) continue;
        ++each->users_;
        lease.shared_ = each;
        lease.reused_ = true;
        return true;
    }
    return false;
}

/// Takes an idle connection; the lease brings seats for it.
bool http_pool::take_idle_shared(http_lease& lease) noexcept {
    const time_point now = running_loop().time();
    for (const auto& each : lease.host_->shared) {
        if (each->users_ != 0 || each->room() == 0 || each->idle_until_ <= now) continue;
        --idle_count_;
        each->users_ = 1;
        each->host_permit_ = std::move(lease.host_permit_);
        each->permit_ = std::move(lease.permit_);
        lease.shared_ = each;
        lease.reused_ = true;
        lease.stop_negotiating();
        return true;
    }
    return false;
}

namespace {

constexpr auto waits_for_answer = wait_queue::kind("whether a server speaks HTTP/2");
constexpr auto waits_for_place = wait_queue::kind("a connection, or a free stream of HTTP/2");

}  // namespace

/// Takes a place on a shared connection, or seats for a new one; waits in the host's line for
/// either.
task<> http_pool::find_place(http_lease& lease) {
    const std::shared_ptr<http_host> host = lease.host_;
    struct leaving {  // also if a cancellation ends the wait
        http_host& host;
        ~leaving() {
            if (host.line.empty()) host.end_seeker();
        }
    };
    struct passing {
        http_pool* pool;
        http_host* host;
        static void on(void* self) noexcept {
            const passing& it = *static_cast<passing*>(self);
            it.pool->pass_grant(*it.host);
        }
    } context{this, host.get()};
    while (!lease.shared_ && !lease.permit_) {
        // Those in line come first.
        if (host->line.empty() && (join(lease) || take_seats(lease))) co_return;
        const leaving at_the_end{*host};
        if (!host->seeker || host->seeker.done())
            host->seeker =
                create_task(seek_seats(shared_from_this(), host), {.name = "seeker of seats"});
        co_await host->line.park(waits_for_place, passing::on, &context);
        take_grant(lease);
    }
}

/// Takes seats that are free. The first one for a new connection finds out the version.
bool http_pool::take_seats(http_lease& lease) noexcept {
    http_host& host = *lease.host_;
    if (host.known == http_host::knowledge::negotiating) return false;
    permit of_host = host.free.try_acquire();
    if (!of_host) return false;
    permit of_session = seats_.try_acquire();
    if (!of_session) return false;
    lease.host_permit_ = std::move(of_host);
    lease.permit_ = std::move(of_session);
    lease.negotiates_ = host.known == http_host::knowledge::none;
    if (lease.negotiates_) host.known = http_host::knowledge::negotiating;
    return true;
}

/// Stands in line for seats, and gives them to the first one in the host's line.
task<> http_pool::seek_seats(std::shared_ptr<http_pool> pool, std::shared_ptr<http_host> host) {
    while (!host->line.empty()) {
        if (host->known == http_host::knowledge::negotiating) {
            co_await host->answers.park(
                waits_for_answer, [](void*) noexcept {}, nullptr);
            continue;
        }
        http_grant seats;
        seats.of_host = co_await host->free.acquire();
        seats.of_session = co_await pool->seats_.acquire();
        // Much may have changed meanwhile.
        if (host->line.empty() || host->known == http_host::knowledge::negotiating) continue;
        seats.negotiates = host->known == http_host::knowledge::none;
        try {
            host->granted.push_back(std::move(seats));
        } catch (const std::bad_alloc&) {  // each looks for itself
            host->line.unpark_all();
            break;
        }
        if (host->known == http_host::knowledge::none)
            host->known = http_host::knowledge::negotiating;
        host->line.unpark_one();
    }
    host->seeker = future<>();
}

/// Nothing is granted if there was no memory for it.
void http_pool::take_grant(http_lease& lease) noexcept {
    std::deque<http_grant>& granted = lease.host_->granted;
    if (granted.empty()) return;
    http_grant grant = std::move(granted.front());
    granted.pop_front();
    if (grant.place) {
        lease.shared_ = std::move(grant.place);
        lease.reused_ = true;
        return;
    }
    lease.host_permit_ = std::move(grant.of_host);
    lease.permit_ = std::move(grant.of_session);
    lease.negotiates_ = grant.negotiates;
    if (!join(lease)) return;  // a place that came free since then saves a connection
    lease.stop_negotiating();
    lease.permit_ = permit();
    lease.host_permit_ = permit();
}

/// The one that it was for was cancelled.
void http_pool::pass_grant(http_host& host) noexcept {
    if (host.granted.empty()) return;
    const http_grant grant = std::move(host.granted.front());
    host.granted.pop_front();
    if (grant.place) return leave(host, *grant.place);
    if (!grant.negotiates) return;
    host.known = http_host::knowledge::none;
    host.answers.unpark_all();
}

/// Gives places that are free to those in line.
void http_pool::serve_line(http_host& host) noexcept {
    for (std::size_t i = 0; i < host.shared.size() && !host.line.empty(); ++i) {
        const auto& each = host.shared[i];
        while (each->users_ != 0 && each->users_ < each->room() && !host.line.empty()) {
            try {
                host.granted.emplace_back().place = each;
            } catch (const std::bad_alloc&) {  // each looks for itself
                host.line.unpark_all();
                return;
            }
            ++each->users_;
            host.line.unpark_one();
        }
    }
    if (host.line.empty()) host.end_seeker();
}

void http_pool::leave(http_host& host, http_shared_connection& from) noexcept {
    --from.users_;
    const bool is_there = std::any_of(host.shared.begin(), host.shared.end(),
                                      [&](const auto& each) { return each.get() == &from; });
    if (!is_there) {  // it takes no further requests
        if (from.users_ == 0) from.abort();
        return;
    }
    serve_line(host);
    if (from.users_ != 0) return;
    from.end_negotiation(host, http_host::knowledge::none);  // another one asks
    // If it has not told its room, it has not answered anything.
    if (from.has_told_ && !closed_ && from.room() != 0 && from.keep_ > duration::zero()) {
        try {
            return make_idle(host, from);
        } catch (...) {  // no memory for the timer, or no loop runs: it is closed instead
        }
    }
    from.abort();
    remove(host, from);
}

void http_pool::make_idle(http_host& host, http_shared_connection& which) {
    const time_point now = running_loop().time();
    set_timer(now + which.keep_);
    which.idle_since_ = now;
    which.idle_until_ = now + which.keep_;
    ++idle_count_;
    which.permit_ = permit();  // from here on others may run
    which.host_permit_ = permit();
    serve_line(host);
}

/// Forgets a connection that has ended.
void http_pool::remove(http_host& host, http_shared_connection& which) noexcept {
    const auto at = std::find_if(host.shared.begin(), host.shared.end(),
                                 [&](const auto& each) { return each.get() == &which; });
    if (at == host.shared.end()) return;
    const std::shared_ptr<http_shared_connection> kept = std::move(*at);
    host.shared.erase(at);
    kept->end_negotiation(host, http_host::knowledge::plain);
    if (kept->host_permit_) {
        kept->permit_ = permit();
        kept->host_permit_ = permit();
    } else {
        --idle_count_;
    }
    serve_line(host);
}

/// Closes shared connections that are idle and whose time has come.
void http_pool::abort_idle(http_host& host, time_point until) noexcept {
    for (std::size_t i = 0; i < host.shared.size();) {
        const std::shared_ptr<http_shared_connection> each = host.shared[i];
        if (each->users_ != 0 || each->idle_until_ > until) {
            ++i;
            continue;
        }
        remove(host, *each);
        each->abort();
    }
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
