// SPDX-License-Identifier: MIT
// The pool's part for connections of HTTP/2: who joins, who waits, and when one is idle.
#include <algorithm>

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
    ++host_->shared_at_work;
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
        ++lease.host_->shared_at_work;
        each->users_ = 1;
        each->host_permit_ = std::move(lease.host_permit_);
        each->permit_ = std::move(lease.permit_);
        lease.shared_ = each;
        lease.reused_ = true;
        return true;
    }
    return false;
}

/// Whether a request that could use a shared connection has to wait for another one's news.
bool http_pool::must_wait(const http_host& host) const noexcept {
    return host.known == http_host::knowledge::negotiating || host.shared_at_work >= per_host_;
}

namespace {

constexpr auto waits_for_answer = wait_queue::kind("whether a server speaks HTTP/2");
constexpr auto waits_for_stream = wait_queue::kind("a free stream of HTTP/2");

}  // namespace

/// Takes a place on a shared connection, or waits until one may be made.
/// Returns: false if the caller needs seats.
task<bool> http_pool::find_shared(http_lease& lease) {
    const std::shared_ptr<http_host> host = lease.host_;
    for (;;) {
        // Those in line come first.
        if (host->line.empty() && join(lease)) co_return true;
        if (!must_wait(*host)) co_return false;
        if (host->known == http_host::knowledge::negotiating) {
            co_await host->answers.park(
                waits_for_answer, [](void*) noexcept {}, nullptr);
            continue;
        }
        struct giving {
            http_pool* pool;
            http_host* host;
            static void back(void* self) noexcept {
                const giving& it = *static_cast<giving*>(self);
                if (it.host->granted.empty()) return;
                const auto place = std::move(it.host->granted.front());
                it.host->granted.pop_front();
                it.pool->leave(*it.host, *place);
            }
        } context{this, host.get()};
        co_await host->line.park(waits_for_stream, giving::back, &context);
        if (host->granted.empty()) continue;
        lease.shared_ = std::move(host->granted.front());
        host->granted.pop_front();
        lease.reused_ = true;
        co_return true;
    }
}

/// Gives places that are free to those in line.
void http_pool::serve_line(http_host& host) noexcept {
    for (std::size_t i = 0; i < host.shared.size() && !host.line.empty(); ++i) {
        const auto& each = host.shared[i];
        while (each->users_ != 0 && each->users_ < each->room() && !host.line.empty()) {
            try {
                host.granted.push_back(each);
            } catch (const std::bad_alloc&) {
                return;
            }
            ++each->users_;
            host.line.unpark_one();
        }
    }
    // Without a connection at work there is nothing to wait for.
    if (host.shared_at_work < per_host_) host.line.unpark_all();
    if (!host.line.empty()) return;
    // Those that wait for news of a connection may take a place on another one.
    for (const auto& each : host.shared)
        for (std::size_t used = each->users_; used != 0 && used < each->room(); ++used)
            if (!host.answers.unpark_one()) return;
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
    --host.shared_at_work;
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
        --host.shared_at_work;
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
