// SPDX-License-Identifier: MIT
// The connections to one host, as one key of the pool stands for it. Only the pool includes it.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <rondo/future.hpp>
#include <rondo/sync.hpp>
#include <rondo/wait_queue.hpp>

#include "http/client/pool.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

enum class http_knowledge : std::uint8_t {
    none,         // the next connection finds out whether it is one of HTTP/2
    negotiating,  // it is being made
    plain,        // the last one was not, or could not be made: none waits
};

/// The grant to a request in the line of a host: a place on a connection, or seats.
struct http_grant {
    std::shared_ptr<http_shared_connection> place;
    permit of_host;
    permit of_session;
    bool negotiates = false;
};

struct http_host {
    http_host(std::string name, std::size_t count) : key(std::move(name)), free(count) {}

    using knowledge = http_knowledge;

    void end_seeker() noexcept {
        if (seeker) std::exchange(seeker, future<>()).cancel();
    }

    std::string key;
    std::size_t leases = 0;  // those that wait or have a connection
    semaphore free;
    std::vector<std::unique_ptr<http_connection>> idle;  // the one used last is the last

    std::vector<std::shared_ptr<http_shared_connection>> shared;
    knowledge known = knowledge::none;
    wait_queue line;                 // requests that may use a shared connection
    std::deque<http_grant> granted;  // to those that have left the line
    future<> seeker;                 // stands in line for seats; as long as the line is not empty
    wait_queue answers;              // the seeker, until a negotiation ends
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
