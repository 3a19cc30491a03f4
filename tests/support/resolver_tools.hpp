// SPDX-License-Identifier: MIT
// Made-up host names: resolvers for the running loop, instead of the system's.
#pragma once

#include <netdb.h>

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <rondo/dns.hpp>

#include "support/executor_tools.hpp"
#include "io/net/resolver.hpp"

namespace rondo_tests {

/// Knows only these names, and counts the queries. Copies share one state.
class made_up_names {
public:
    using addresses = std::vector<rondo::endpoint>;

    void know(const std::string& host, addresses all) { state_->known[host] = std::move(all); }
    /// Makes the running loop use this.
    void use() const {
        rondo::detail::resolver::of(rondo::running_loop())
            .set_source([state = state_](const std::string& host, rondo::address_family) {
                ++state->questions;
                rondo::detail::answer given;
                const auto found = state->known.find(host);
                if (found == state->known.end())
                    given.failed = EAI_NONAME;
                else
                    given.addresses = found->second;
                return given;
            });
    }
    int questions() const { return state_->questions; }

private:
    struct state {
        std::map<std::string, addresses> known;
        std::atomic<int> questions{0};
    };
    std::shared_ptr<state> state_ = std::make_shared<state>();
};

/// A resolver that blocks until the test releases it. Its threads touch only its own state, so they
/// may outlive the loop.
class hanging_names {
public:
    void use() const {
        rondo::detail::resolver::of(rondo::running_loop())
            .set_source([state = state_](const std::string& host, rondo::address_family) {
                ++state->begun;
                state->hangs.pass();
                ++state->ended;
                rondo::detail::answer given;
                given.addresses = {{"127.0.0." + std::to_string(1 + host.size() % 200), 0}};
                return given;
            });
    }
    void go_on() const { state_->hangs.open(); }
    int begun() const { return state_->begun; }
    int ended() const { return state_->ended; }
    /// Waits until `count` queries block; their threads begin at any time.
    rondo::task<> until_begun(int count) const {
        while (begun() < count) co_await rondo::yield_now();
    }

private:
    struct state {
        gate hangs;
        std::atomic<int> begun{0};
        std::atomic<int> ended{0};
    };
    std::shared_ptr<state> state_ = std::make_shared<state>();
};

}  // namespace rondo_tests
