// SPDX-License-Identifier: MIT
// Seats and idle connections.
#include "http/client/pool.hpp"

#include <algorithm>

#include <rondo/gather.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

/// The connections to one host, as one key of the pool stands for it.
struct http_lease::seats {
    seats(std::string name, std::size_t count) : key(std::move(name)), free(count) {}

    std::string key;
    semaphore free;
    std::vector<std::unique_ptr<http_connection>> idle;  // the one used last is the last
};

// -- lease ---------------------------------------------------------------------------------------
http_lease& http_lease::operator=(http_lease&& other) noexcept {
    reset();
    pool_ = std::move(other.pool_);
    host_ = std::move(other.host_);
    host_permit_ = std::move(other.host_permit_);
    permit_ = std::move(other.permit_);
    connection_ = std::move(other.connection_);
    reused_ = other.reused_;
    return *this;
}

void http_lease::connect(http_connection::any_stream stream) {
    connection_ = std::make_unique<http_connection>(std::move(stream));
    reused_ = false;
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
    permit_ = permit();  // each is empty if a cancellation came before it
    host_permit_ = permit();
    pool_->forget_if_unused(*host_);
    host_.reset();
    pool_.reset();
}

// -- pool ----------------------------------------------------------------------------------------
http_pool::~http_pool() { timer_.cancel(); }

task<http_lease> http_pool::acquire(std::string key, bool fresh) {
    http_lease lease;
    if (home_ != running_loop().remote()) move_in();
    lease.host_ = host_of(std::move(key));
    lease.pool_ = shared_from_this();
    lease.host_permit_ = co_await lease.host_->free.acquire();
    lease.permit_ = co_await seats_.acquire();
    if (!fresh) lease.connection_ = take_idle(*lease.host_);
    lease.reused_ = lease.connection_ != nullptr;
    if (!lease.reused_) make_room();
    co_return lease;
}

/// A session may be used in one loop after another. Its timer is the former loop's.
void http_pool::move_in() noexcept {
    home_ = running_loop().remote();
    close_idle();
}

std::shared_ptr<http_lease::seats> http_pool::host_of(std::string key) {
    auto& host = hosts_[key];
    if (!host) host = std::make_shared<http_lease::seats>(std::move(key), per_host_);
    return host;
}

std::unique_ptr<http_connection> http_pool::take_idle(http_lease::seats& host) noexcept {
    while (!host.idle.empty()) {
        std::unique_ptr<http_connection> latest = std::move(host.idle.back());
        host.idle.pop_back();
        --idle_count_;
        if (latest->idle_until > running_loop().time() && latest->is_quiet()) return latest;
    }
    return nullptr;
}

void http_pool::keep(http_lease::seats& host, std::unique_ptr<http_connection> connection,
                     duration span) {
    if (closed_) return;
    const time_point now = running_loop().time();
    connection->idle_since = now;
    connection->idle_until = now + span;
    set_timer(connection->idle_until);
    host.idle.push_back(std::move(connection));
    ++idle_count_;
}

/// Closes idle connections, those that are idle for the longest time first, until one more
/// connection is within the limit.
void http_pool::make_room() noexcept {
    while (idle_count_ > seats_.available()) {
        http_lease::seats* oldest = nullptr;
        for (auto& [key, host] : hosts_) {
            if (host->idle.empty()) continue;
            if (oldest == nullptr ||
                host->idle.front()->idle_since < oldest->idle.front()->idle_since)
                oldest = host.get();
        }
        if (oldest == nullptr) return;
        oldest->idle.erase(oldest->idle.begin());
        --idle_count_;
        forget_if_unused(*oldest);
    }
}

/// Closes what has been idle for long enough, and sets the timer for the next one.
void http_pool::close_expired() {
    timer_at_ = time_point::max();
    const time_point now = running_loop().time();
    time_point next = time_point::max();
    for (auto at = hosts_.begin(); at != hosts_.end();) {
        const std::shared_ptr<http_lease::seats> host = (at++)->second;  // it may be erased
        idle_count_ -= std::erase_if(
            host->idle, [&](const auto& connection) { return connection->idle_until <= now; });
        for (const auto& connection : host->idle) next = std::min(next, connection->idle_until);
        forget_if_unused(*host);
    }
    if (next != time_point::max())
        set_timer(next);
    else
        buffers_->clear();
}

void http_pool::set_timer(time_point when) {
    if (timer_at_ <= when) return;
    timer_.cancel();
    timer_ = running_loop().call_at(when, [pool = weak_from_this()] {
        if (const auto alive = pool.lock()) alive->close_expired();
    });
    timer_at_ = when;
}

void http_pool::forget_if_unused(const http_lease::seats& host) noexcept {
    if (host.idle.empty() && host.free.available() == per_host_ && host.free.waiting() == 0)
        hosts_.erase(host.key);
}

void http_pool::close_now() noexcept {
    closed_ = true;
    close_idle();
}

void http_pool::close_idle() noexcept {
    timer_.cancel();
    timer_at_ = time_point::max();
    for (auto& [key, host] : hosts_) host->idle.clear();
    idle_count_ = 0;
    buffers_->clear();
    std::erase_if(hosts_, [&](const auto& entry) {
        return entry.second->free.available() == per_host_ && entry.second->free.waiting() == 0;
    });
}

task<> http_pool::close() {
    std::vector<std::unique_ptr<http_connection>> all;
    for (auto& [key, host] : hosts_)
        for (auto& connection : host->idle) all.push_back(std::move(connection));
    close_now();
    std::vector<task<>> closing;
    for (auto& connection : all) closing.push_back(connection->close());
    co_await gather(std::move(closing));
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
