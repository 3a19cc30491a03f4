// SPDX-License-Identifier: MIT
// The steps of a work_queue: scripts that the Redis server runs, each as one step. The keys that
// they work on are in docs/work_queue.md.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include <rondo/config.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

enum class work_step : std::size_t {
    put,      // puts jobs, each once for its id
    take,     // leases jobs: new ones, and those whose lease has run out
    begin,    // begins the lease of a job that a blocked read has given
    renew,    // renews leases
    done,     // ends a job
    retry,    // puts a job off, or declares it dead
    release,  // gives a job back
    stats,
    dead,  // reads dead jobs
    revive,
    forget,
    join,   // forgets workers that ended long ago
    leave,  // gives back what a worker holds, and forgets it
    count,
};

/// The group of the stream in which all workers are consumers.
inline constexpr std::string_view work_group = "workers";

/// The text of a step's script. Its first line is a comment: "-- rondo work_queue: put".
std::string script_of(work_step step);

}  // namespace detail
}  // namespace v0
}  // namespace rondo
