// SPDX-License-Identifier: MIT
// Where somebody is: the kernel's own socket address by value, so that it can be handed down as it
// is and costs nothing to copy. It is made of a literal address. Names are looked up elsewhere
// (dns.hpp): that takes time, may fail, and gives several.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

#include <rondo/config.hpp>

namespace rondo {
inline namespace v0 {

/// Of an endpoint.
enum class address_family : std::uint8_t { none, ipv4, ipv6 };

/// An IP address and a port: {"127.0.0.1", 7007}, {"::1", 7007}, {"fe80::1%eth0", 7007}.
class RONDO_API endpoint {
public:
    /// Nowhere.
    constexpr endpoint() noexcept = default;
    /// A literal address, IPv6 also in brackets.
    /// Throws: rondo::error where it is none; names are for `resolve`.
    endpoint(std::string_view address, std::uint16_t port);

    /// The same, empty where it is no literal address.
    static std::optional<endpoint> parse(std::string_view address, std::uint16_t port) noexcept;
    /// Of a sockaddr; nowhere, if it is of no family that we know.
    static endpoint from_system(const void* name, std::size_t size) noexcept;

    address_family family() const noexcept;
    std::uint16_t port() const noexcept;
    /// The address alone: "127.0.0.1", "::1".
    std::string address() const;
    /// "127.0.0.1:7007", "[::1]:7007"
    std::string text() const;

    /// A sockaddr, for system calls.
    const void* data() const noexcept { return bytes_; }
    std::uint32_t size() const noexcept;

    bool operator==(const endpoint& other) const noexcept;

private:
    alignas(4) unsigned char bytes_[28] = {};  // a sockaddr_in or a sockaddr_in6
};
static_assert(std::is_trivially_destructible_v<endpoint> && sizeof(endpoint) == 28);

}  // namespace v0
}  // namespace rondo
