// SPDX-License-Identifier: MIT
// The objects that a manager's server keeps, as bytes.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>

#include <rondo/sync/mutex.hpp>

#include "multiprocess/managed/message.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

/// A map, a list, a value (a map with the key "") or a mutex: what its handles use it as.
struct stored_object {
    std::map<std::string, std::string> map;
    std::deque<std::string> list;
    mutex lock;
};

class managed_store {
public:
    explicit managed_store(std::uint64_t bytes_max) noexcept : bytes_max_(bytes_max) {}

    /// Carries out any request but `lock`.
    managed_reply apply(managed_request& request);
    /// The mutex of an object, which is made if it is new. Null if there is no room.
    mutex* lock_of(std::uint64_t object);

private:
    static constexpr std::uint64_t overhead = 64;  // bytes that an item counts beside its own

    stored_object* find(std::uint64_t object) noexcept;
    stored_object* make(std::uint64_t object);
    bool reserve(std::uint64_t more, std::uint64_t less = 0) noexcept;
    managed_reply apply_to_map(managed_request& request);
    managed_reply apply_to_list(managed_request& request);
    managed_reply set(managed_request& request, bool only_if);
    managed_reply erase(const managed_request& request);
    managed_reply items_of_map(const managed_request& request);
    managed_reply set_item(managed_request& request);
    managed_reply insert_item(managed_request& request);
    managed_reply erase_item(const managed_request& request);
    managed_reply items_of_list(const managed_request& request);
    managed_reply clear(const managed_request& request);

    const std::uint64_t bytes_max_;
    std::uint64_t bytes_ = 0;
    std::map<std::uint64_t, stored_object> objects_;
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
