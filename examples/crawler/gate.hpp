// SPDX-License-Identifier: MIT
// Politeness: how many requests a host has at a time, and how long after one the next may begin.
#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <string>
#include <utility>

#include <rondo/config.hpp>
#include <rondo/sync.hpp>
#include <rondo/task.hpp>

namespace crawler {

class gate;

/// A host of the gate.
struct gate_host {
    explicit gate_host(std::size_t requests_max) : requests(requests_max) {}

    rondo::semaphore requests;
    rondo::duration delay{};
    rondo::time_point next{};  // the beginning of the next request, at the earliest
};

/// The limits of all hosts. A host is known by its origin.
/// Thread: its loop's.
class gate {
public:
    gate(std::size_t requests_per_host, rondo::duration delay)
        : requests_per_host_(requests_per_host), delay_(delay) {}

    /// Waits until a request to the host may begin. The request lasts as long as the permit.
    /// Cancel: leaves the line.
    rondo::task<rondo::permit> enter(std::string host);

    /// The moment from which a request may begin, as far as delays are concerned.
    rondo::time_point ready_at(const std::string& host) const;

    /// Requests that a host may have at a time.
    std::size_t requests_per_host() const noexcept { return requests_per_host_; }

    /// Makes the delay of a host at least this long, as its robots.txt asks for.
    void slow_down(const std::string& host, rondo::duration delay);

private:
    gate_host& state_of(const std::string& host);

    std::size_t requests_per_host_;
    rondo::duration delay_;
    std::map<std::string, gate_host> hosts_;
};

}  // namespace crawler
