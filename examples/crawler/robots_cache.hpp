// SPDX-License-Identifier: MIT
// The robots.txt of each host, asked for once.
#pragma once

#include <map>
#include <string>
#include <utility>

#include <rondo/http/session.hpp>
#include <rondo/http/url.hpp>
#include <rondo/sync.hpp>
#include <rondo/task.hpp>

#include "gate.hpp"
#include "robots.hpp"

namespace crawler {

/// Rules of a host.
struct host_rules {
    robots_rules rules;
    std::string failure;            // the reason why everything is forbidden; empty: none
    bool has_put_sitemaps = false;  // into the frontier
    rondo::once asked;
};

/// Rules of hosts, by their origins. Session and gate must outlive it.
/// Thread: its loop's.
class robots_cache {
public:
    /// Asks again as `retries` says.
    robots_cache(rondo::http::session& web, gate& hosts, std::string agent,
                 rondo::http::retry_policy retries)
        : web_(web), gate_(hosts), agent_(std::move(agent)), retries_(retries) {}

    /// The rules for the host of a page. The first task that needs them asks for them. No file
    /// (4xx) allows everything; a server that fails (5xx, no answer) forbids everything. The host's
    /// Crawl-delay is set in the gate.
    /// Returns: a reference that is good as long as the cache.
    rondo::task<host_rules*> of(const rondo::http::url& page);

private:
    rondo::task<> ask(std::string origin, host_rules* into);
    rondo::task<> read(const std::string& url, host_rules& into);

    rondo::http::session& web_;
    gate& gate_;
    std::string agent_;
    rondo::http::retry_policy retries_;
    std::map<std::string, host_rules> hosts_;
};

}  // namespace crawler
