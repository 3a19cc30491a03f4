// SPDX-License-Identifier: MIT
// A loop's lookups of host names.
//
// Tasks that ask for one name at the same time share one lookup. There is no cache: a lookup that
// has ended is forgotten. A lookup that hangs stays, even if all its tasks have left, and the next
// task that asks for the name joins it. So a program that retries occupies one thread per name, not
// all threads. A lookup that no task waits for and no thread has begun is taken back.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include <rondo/endpoint.hpp>
#include <rondo/wait_queue.hpp>

#include "io/net/lookup_threads.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

/// One lookup and the tasks that wait for it.
struct lookup {
    using question = std::pair<std::string, address_family>;

    explicit lookup(const question& q) : asked(q) {}
    const question asked;
    wait_queue waiters;
    std::size_t users = 0;
    lookup_job* job = nullptr;  // null once it has ended
    answer found;
};

/// A task's share in a lookup; destroying it leaves the lookup.
class lookup_share {
public:
    lookup_share(resolver& of, const lookup::question& q);
    ~lookup_share();
    lookup_share(const lookup_share&) = delete;
    lookup_share& operator=(const lookup_share&) = delete;

    lookup& operator*() const noexcept { return *lookup_; }
    lookup* operator->() const noexcept { return lookup_.get(); }

private:
    resolver& resolver_;
    std::shared_ptr<lookup> lookup_;
};

class RONDO_API resolver {
public:
    explicit resolver(loop& home);
    static resolver& of(loop& loop);

    /// For tests: from now on lookups call `source` instead of the system's resolver.
    void set_source(name_source source);
    const std::shared_ptr<const name_source>& source() const noexcept { return source_; }
    /// Lookups that have not ended.
    std::size_t running() const noexcept { return lookups_.size(); }

    /// The lookup for this name that has not ended, or a new one.
    std::shared_ptr<lookup> join(const lookup::question& q);
    /// Takes the lookup back if it has not begun.
    void abandon(lookup& l) noexcept;
    /// Wakes the tasks that wait for it.
    void ended(lookup& l, answer&& found) noexcept;

private:
    std::map<lookup::question, std::shared_ptr<lookup>> lookups_;
    std::shared_ptr<const name_source> source_;  // null: the system's resolver
    lookup_threads threads_;
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
