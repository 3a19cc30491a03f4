// SPDX-License-Identifier: MIT
// The state of a work_queue: its client, its keys and its steps.
#pragma once

#include <array>
#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include <rondo/work_queue.hpp>

#include "redis/steps.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

using work_words = std::vector<std::string>;

/// Sixteen hexadecimal digits.
std::string random_digits();
/// Whole milliseconds, as a word of a step; rounded up.
std::string milliseconds_of(duration time);

/// True for an error reply that may be gone in a moment: a server that starts, or has no memory.
bool is_passing(const redis::reply_error& error) noexcept;

struct work_queue_state {
    work_queue_state(redis::client to, std::string queue, work_queue_options how);

    /// Runs a step. `id` is that of the job, if the step needs its marker.
    /// Throws: as redis::client::command.
    task<redis::value> run(work_step step, work_words arguments, std::string id = {}) {
        return run_with(step, std::move(arguments), id.empty() ? work_words() : markers_of(id));
    }
    /// The same with markers.
    task<redis::value> run_with(work_step step, work_words arguments, work_words markers);
    /// The same, repeated if its reply is lost, for 30 s. Only for steps that do no more if they
    /// are run again.
    task<redis::value> run_surely(work_step step, work_words arguments, work_words markers = {});

    /// Looks at the server and makes the queue, as `open` promises. Repeated in the same way.
    task<> prepare();

    std::string marker_of(std::string_view id) const { return prefix + "id:" + std::string(id); }
    work_words markers_of(std::string_view id) const { return {marker_of(id)}; }
    std::string jobs_key() const { return prefix + "jobs"; }
    std::string facts_key() const { return prefix + "facts"; }

    redis::client client;
    const std::string name;
    const std::string prefix;  // of all keys: "rondo:{crawl}:"
    const work_queue_options options;
    const std::string remember;
    durability found = durability::any;
    work_words keys;
    std::array<std::string, static_cast<std::size_t>(work_step::count)> hashes;

private:
    task<> make_group();
    task<> look_at_server();
    task<> make_queue();
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
