// SPDX-License-Identifier: MIT
// A loop's lookups: which tasks share one, and what happens when it ends or is abandoned.
#include "io/net/resolver.hpp"

#include <netdb.h>

#include <utility>

namespace rondo {
inline namespace v0 {
namespace detail {

resolver::resolver(loop& home) : threads_(home) {}

resolver& resolver::of(loop& loop) {
    static constexpr char key = 0;
    std::shared_ptr<void>& slot = loop.extension(&key);
    if (slot == nullptr) slot = std::make_shared<resolver>(loop);
    return *static_cast<resolver*>(slot.get());
}

void resolver::set_source(name_source source) {
    source_ = std::make_shared<const name_source>(std::move(source));
}

std::shared_ptr<lookup> resolver::join(const lookup::question& q) {
    const auto place = lookups_.find(q);
    if (place != lookups_.end()) return place->second;
    auto fresh = std::make_shared<lookup>(q);
    auto job = std::make_unique<lookup_job>(*this, *fresh);
    fresh->job = job.get();
    lookups_.emplace(q, fresh);
    if (threads_.start(std::move(job))) return fresh;
    fresh->job = nullptr;
    fresh->found.failed = EAI_AGAIN;
    lookups_.erase(q);
    return fresh;
}

void resolver::ended(lookup& l, answer&& found) noexcept {
    const auto place = lookups_.find(l.asked);
    const std::shared_ptr<lookup> keep = place->second;
    lookups_.erase(place);
    l.job = nullptr;
    l.found = std::move(found);
    l.waiters.unpark_all();
}

void resolver::abandon(lookup& l) noexcept {
    if (l.job != nullptr && threads_.take_back(*l.job)) lookups_.erase(lookups_.find(l.asked));
}

lookup_share::lookup_share(resolver& of, const lookup::question& q)
    : resolver_(of), lookup_(of.join(q)) {
    ++lookup_->users;
}

lookup_share::~lookup_share() {
    if (--lookup_->users == 0) resolver_.abandon(*lookup_);
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
