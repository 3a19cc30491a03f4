// SPDX-License-Identifier: MIT
// The frontier of a crawl that any number of processes share, on any number of machines: a
// rondo::work_queue in Redis. A page is put once for its URL, and visited under a lease. If the
// process dies, another one visits the page after the lease has ended.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include <rondo/config.hpp>
#include <rondo/task.hpp>

#include "frontier.hpp"

namespace crawler {

/// Connects to the queue that a text like "redis://host/name" or "unix:///run/redis.sock#name"
/// names. It takes about `pages_max` pages in all (0: no limit): pages that are found at the same
/// time may exceed it.
/// Throws: usage_error if the text is no such URL, or if this program was built without
///         librondo-redis; rondo::redis::connection_error.
rondo::task<std::unique_ptr<frontier>> open_shared_frontier(std::string url, std::size_t pages_max,
                                                            rondo::duration lease);

}  // namespace crawler
