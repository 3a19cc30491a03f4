// SPDX-License-Identifier: MIT
// The connections to one host, as one key of the pool stands for it. Only the pool includes it.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

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

struct http_host {
    http_host(std::string name, std::size_t count) : key(std::move(name)), free(count) {}

    using knowledge = http_knowledge;

    std::string key;
    std::size_t leases = 0;  // those that wait or have a connection
    semaphore free;
    std::vector<std::unique_ptr<http_connection>> idle;  // the one used last is the last

    std::vector<std::shared_ptr<http_shared_connection>> shared;
    std::size_t shared_at_work = 0;  // that have users
    knowledge known = knowledge::none;
    wait_queue answers;  // wait for the end of a negotiation
    wait_queue line;     // wait for a place on a shared connection
    std::deque<std::shared_ptr<http_shared_connection>> granted;  // to those that left the line
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
