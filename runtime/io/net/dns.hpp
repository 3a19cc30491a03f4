// SPDX-License-Identifier: MIT
// Lookups for functions that connect. Errors are values, and the caller says for what it looked up.
#pragma once

#include <cstdint>
#include <string>
#include <system_error>
#include <vector>

#include <rondo/endpoint.hpp>
#include <rondo/task.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

/// Addresses of a host, or the error of the lookup.
struct addresses_found {
    std::vector<endpoint> addresses;
    std::error_code error;
    addresses_found() = default;  // no aggregate: see docs/gcc12.md
};
task<addresses_found> find_addresses(std::string host, std::uint16_t port, address_family family);

/// Text of a host name for messages: "a name of 300 characters".
std::string shown_host(const std::string& host);

}  // namespace detail
}  // namespace v0
}  // namespace rondo
