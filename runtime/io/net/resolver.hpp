// SPDX-License-Identifier: MIT
// A loop's lookups of host names.
//
// Tasks that ask for one name at the same time share one lookup. There is no cache: a lookup that
// has ended is forgotten. A lookup that hangs stays, even if all its tasks have left, and the next
// task that asks for the name joins it. So a program that retries occupies one thread per name, not
// all threads. A lookup that no task waits for and no thread has begun is taken back.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <rondo/detail/thread/lane.hpp>
#include <rondo/endpoint.hpp>
#include <rondo/wait_queue.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

/// Answer of a lookup: addresses with port 0, or an error.
struct answer {
    std::vector<endpoint> addresses;
    int failed = 0;        // EAI_*
    int system_error = 0;  // errno of EAI_SYSTEM
    answer() = default;    // no aggregate: see docs/gcc12.md
};

/// Looks up a name and may block forever. It runs on a thread that may outlive the loop, so it owns
/// all that it needs.
using name_source = std::function<answer(const std::string& host, address_family family)>;

class resolver;

/// One lookup and the tasks that wait for it.
struct lookup {
    using question = std::pair<std::string, address_family>;

    explicit lookup(const question& q) : asked(q) {}
    const question asked;
    wait_queue waiters;
    std::size_t askers = 0;
    lane_job* job = nullptr;  // null once it has ended
    answer found;
};

/// A task's share in a lookup; destroying it leaves the lookup.
class asker {
public:
    asker(resolver& of, const lookup::question& q);
    ~asker();
    asker(const asker&) = delete;
    asker& operator=(const asker&) = delete;

    lookup& shared() const noexcept { return *lookup_; }

private:
    resolver& resolver_;
    std::shared_ptr<lookup> lookup_;
};

class RONDO_API resolver {
public:
    explicit resolver(loop& home);
    static resolver& of(loop& loop);

    /// For tests: from now on lookups call `source` instead of the system's resolver.
    void ask_instead(name_source source);
    /// Lookups that have not ended.
    std::size_t running() const noexcept { return lookups_.size(); }

private:
    friend class asker;
    class job;
    std::shared_ptr<lookup> join(const lookup::question& q);
    void nobody_waits(lookup& l) noexcept;
    void ended(lookup& l, answer&& found) noexcept;

    std::map<lookup::question, std::shared_ptr<lookup>> lookups_;
    std::shared_ptr<const name_source> source_;
    lane lane_;
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
