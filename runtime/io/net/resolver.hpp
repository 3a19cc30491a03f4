// SPDX-License-Identifier: MIT
// Whom a loop asks for the addresses of names, and what it is asking now.
//
// Several tasks that ask for one name share one lookup. This is no cache: a lookup that has ended
// is forgotten. One that hangs is not, though everybody may have left it, and is joined by whoever
// asks next: so a program that tries again and again keeps one thread busy for each name, not all.
// What nobody waits for and no thread has begun is taken back.
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

/// The answer: addresses with port 0, or why there are none.
struct answer {
    std::vector<endpoint> addresses;
    int failed = 0;        // EAI_*
    int system_error = 0;  // of EAI_SYSTEM
    answer() = default;    // no aggregate: see docs/gcc12.md
};

/// May hang. Called on a thread that may outlive the loop: it keeps what it needs.
using name_source = std::function<answer(const std::string& host, address_family family)>;

class resolver;

/// One lookup and those who wait for it.
struct lookup {
    using question = std::pair<std::string, address_family>;

    explicit lookup(const question& q) : asked(q) {}
    const question asked;
    wait_queue waiters;
    std::size_t askers = 0;
    lane_job* job = nullptr;  // null once it has come home
    answer found;
};

/// One who asks; leaving is its end.
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

    /// For tests: asks this instead of the system, from now on.
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
