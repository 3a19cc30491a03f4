// SPDX-License-Identifier: MIT
// Seats and idle connections.
#include <algorithm>

#include <rondo/gather.hpp>

#include "http/client/host.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

// -- lease ---------------------------------------------------------------------------------------
http_lease& http_lease::operator=(http_lease&& other) noexcept {
    reset();
    pool_ = std::move(other.pool_);
    host_ = std::move(other.host_);
    host_permit_ = std::move(other.host_permit_);
    permit_ = std::move(other.permit_);
    connection_ = std::move(other.connection_);
    shared_ = std::move(other.shared_);
    reused_ = other.reused_;
    negotiates_ = std::exchange(other.negotiates_, false);
    return *this;
}

void http_lease::connect(http_connection::any_stream stream) {
    connection_ = std::make_unique<http_connection>(std::move(stream));
    reused_ = false;
    fail();
}

std::shared_ptr<http_buffers> http_lease::buffers() const noexcept {
    return pool_ ? pool_->buffers_ : nullptr;
}

std::unique_ptr<http_connection> http_lease::take() noexcept {
    auto taken = std::move(connection_);
    reset();
    return taken;
}

void http_lease::give_back(duration keep) noexcept {
    if (pool_ && connection_ && keep > duration::zero()) {
        try {
            pool_->keep(*host_, std::move(connection_), keep);
        } catch (...) {  // no memory: it is closed instead
        }
    }
    reset();
}

void http_lease::reset() noexcept {
    connection_.reset();
    if (!pool_) return;
    stop_negotiating();  // if it was cancelled
    if (shared_) pool_->leave(*host_, *shared_);
    shared_.reset();
    permit_ = permit();  // each is empty if a cancellation came before it
    host_permit_ = permit();
    --host_->leases;
    pool_->forget_if_unused(*host_);
    host_.reset();
    pool_.reset();
}

// -- pool ----------------------------------------------------------------------------------------
namespace {

/// Spare buffers are freed if no connection was given back for so long.
constexpr std::chrono::seconds buffers_span{1};

}  // namespace

http_pool::~http_pool() { close_idle(); }

task<http_lease> http_pool::acquire(std::string key, http_wanted wanted, bool fresh) {
    http_lease lease;
    if (home_ != running_loop().remote()) move_in();
    lease.host_ = host_of(std::move(key));
    lease.pool_ = shared_from_this();
    ++lease.host_->leases;
    if (wanted == http_wanted::plain) {
        lease.host_permit_ = co_await lease.host_->free.acquire();
        lease.permit_ = co_await seats_.acquire();
    } else {
        co_await find_place(lease);
        if (lease.shared_) co_return lease;
        if (!fresh && take_idle_shared(lease)) co_return lease;
    }
    if (!fresh && wanted != http_wanted::shared) lease.connection_ = take_idle(*lease.host_);
    lease.reused_ = lease.connection_ != nullptr;
    if (lease.reused_)
        lease.stop_negotiating();
    else
        make_room();
    co_return lease;
}

/// A session may be used in one loop after another. Its timer is the former loop's, and so are the
/// connections that are still at work there.
void http_pool::move_in() noexcept {
    home_ = running_loop().remote();
    close_idle();
    for (auto& [key, host] : hosts_) {
        host->end_seeker();
        while (!host->shared.empty()) remove(*host, *host->shared.back());
    }
}

std::shared_ptr<http_host> http_pool::host_of(std::string key) {
    auto& host = hosts_[key];
    if (!host) host = std::make_shared<http_host>(std::move(key), per_host_);
    return host;
}

std::unique_ptr<http_connection> http_pool::take_idle(http_host& host) noexcept {
    while (!host.idle.empty()) {
        std::unique_ptr<http_connection> latest = std::move(host.idle.back());
        host.idle.pop_back();
        --idle_count_;
        if (latest->idle_until > running_loop().time() && latest->is_quiet()) return latest;
    }
    return nullptr;
}

void http_pool::keep(http_host& host, std::unique_ptr<http_connection> connection, duration span) {
    if (closed_) return;
    const time_point now = running_loop().time();
    connection->idle_since = now;
    connection->idle_until = now + span;
    last_kept_ = now;
    set_timer(std::min(connection->idle_until, now + buffers_span));
    host.idle.push_back(std::move(connection));
    ++idle_count_;
}

/// Closes idle connections, those that are idle for the longest time first, until one more
/// connection is within the limit.
void http_pool::make_room() noexcept {
    while (idle_count_ > seats_.available()) {
        std::shared_ptr<http_host> of;
        http_shared_connection* shared = nullptr;
        time_point oldest = time_point::max();
        for (auto& [key, host] : hosts_) {
            if (!host->idle.empty() && host->idle.front()->idle_since < oldest) {
                oldest = host->idle.front()->idle_since;
                of = host;
                shared = nullptr;
            }
            for (const auto& each : host->shared) {
                if (each->users_ != 0 || each->idle_since_ >= oldest) continue;
                oldest = each->idle_since_;
                of = host;
                shared = each.get();
            }
        }
        if (!of) return;
        if (shared != nullptr) {
            shared->abort();
            remove(*of, *shared);
        } else {
            of->idle.erase(of->idle.begin());
            --idle_count_;
        }
        forget_if_unused(*of);
    }
}

/// Closes what has been idle for long enough, and sets the timer for the next one.
void http_pool::close_expired() {
    timer_at_ = time_point::max();
    const time_point now = running_loop().time();
    time_point next = last_kept_ + buffers_span;
    if (next <= now) {
        buffers_->clear();
        next = time_point::max();
    }
    for (auto at = hosts_.begin(); at != hosts_.end();) {
        const std::shared_ptr<http_host> host = (at++)->second;  // it may be erased
        idle_count_ -= std::erase_if(
            host->idle, [&](const auto& connection) { return connection->idle_until <= now; });
        for (const auto& connection : host->idle) next = std::min(next, connection->idle_until);
        abort_idle(*host, now);
        for (const auto& each : host->shared)
            if (each->users_ == 0) next = std::min(next, each->idle_until_);
        forget_if_unused(*host);
    }
    if (next != time_point::max()) set_timer(next);
}

void http_pool::set_timer(time_point when) {
    if (timer_at_ <= when) return;
    timer_.cancel();
    timer_at_ = time_point::max();  // in case that the next line throws
    timer_ = running_loop().call_at(when, [pool = weak_from_this()] {
        if (const auto alive = pool.lock()) alive->close_expired();
    });
    timer_at_ = when;
}

bool http_pool::is_unused(const http_host& host) noexcept {
    return host.leases == 0 && host.idle.empty() && host.shared.empty();
}

void http_pool::forget_if_unused(const http_host& host) noexcept {
    if (!is_unused(host)) return;
    const auto at = hosts_.find(host.key);
    if (at != hosts_.end() && at->second.get() == &host) hosts_.erase(at);
}

void http_pool::close_now() noexcept {
    closed_ = true;
    close_idle();
}

void http_pool::close_idle() noexcept {
    timer_.cancel();
    timer_at_ = time_point::max();
    for (auto& [key, host] : hosts_) {
        idle_count_ -= host->idle.size();
        host->idle.clear();
        abort_idle(*host, time_point::max());
    }
    buffers_->clear();
    std::erase_if(hosts_, [&](const auto& entry) { return is_unused(*entry.second); });
}

namespace {

/// Ends them at once if their farewell is cut short, or never begins.
struct shared_to_close {
    std::vector<std::shared_ptr<http_shared_connection>> all;
    ~shared_to_close() {
        for (const auto& each : all) each->abort();
    }
};

}  // namespace

task<> http_pool::close() {
    std::vector<std::unique_ptr<http_connection>> all;
    shared_to_close shared;
    for (auto& [key, host] : hosts_) {
        for (auto& connection : host->idle) all.push_back(std::move(connection));
        idle_count_ -= host->idle.size();
        host->idle.clear();
        for (const auto& each : host->shared)
            if (each->users_ == 0) shared.all.push_back(each);
        for (const auto& each : shared.all) remove(*host, *each);
    }
    close_now();
    std::vector<task<>> closing;
    for (auto& connection : all) closing.push_back(connection->close());
    for (auto& connection : shared.all) closing.push_back(connection->close());
    co_await gather(std::move(closing));
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
