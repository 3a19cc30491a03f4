// SPDX-License-Identifier: MIT
// Names of a shared crawl: its queue, and its pages in the queue. No I/O.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace crawler {

/// The queue that a text names: of "redis://host:port/3/name" the server is "redis://host:port/3",
/// of "unix:///run/redis.sock#name" it is "unix:///run/redis.sock".
struct queue_address {
    /// Throws: usage_error.
    explicit queue_address(std::string_view text);

    std::string server;
    std::string name;
};

/// The id of a page in the queue: its URL, or the beginning and a hash of a long one.
std::string queue_id(const std::string& url);

/// A hash of a URL that is the same in every process.
std::uint64_t hash_of_url(std::string_view url);

}  // namespace crawler
