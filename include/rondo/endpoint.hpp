// SPDX-License-Identifier: MIT
// Where somebody is: the kernel's own socket address by value, so that it can be handed down as it
// is and costs nothing to copy. It is made of a literal address, or of the name of a Unix socket.
// Names of hosts are looked up elsewhere (dns.hpp): that takes time, may fail, and gives several.
//
// One text for each, which can stand in a line of a log or of a configuration and be read back:
//
//     127.0.0.1:80   [::1]:80   [fe80::1%eth0]:80   unix:/run/app.sock   unix:@abstract
//
// In the name of a Unix socket any byte may occur. Those that would break a line (control
// characters), the backslash, and an '@' that begins a path are written \x40.
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
enum class address_family : std::uint8_t { none, ipv4, ipv6, unix_socket };

/// An IP address and a port: {"127.0.0.1", 7007}, {"::1", 7007}, {"fe80::1%eth0", 7007}; or the
/// name of a Unix socket.
/// See: ip(7), ipv6(7), unix(7).
class RONDO_API endpoint {
public:
    /// Nowhere.
    constexpr endpoint() noexcept = default;
    /// A literal address, IPv6 also in brackets.
    /// Throws: rondo::error where it is none; names are for `resolve`.
    endpoint(std::string_view address, std::uint16_t port);
    /// One text, as `text` gives it: "[::1]:80", "unix:/run/app.sock".
    /// Throws: rondo::error, which says what is wrong with it.
    explicit endpoint(std::string_view text);

    /// The same two, empty where the constructor throws.
    static std::optional<endpoint> parse(std::string_view address, std::uint16_t port) noexcept;
    static std::optional<endpoint> parse(std::string_view text) noexcept;

    /// A Unix socket with a path in the file system, of at most 107 bytes.
    /// Throws: rondo::error where it is empty, longer, or has a NUL in it.
    static endpoint unix_path(std::string_view path);
    /// One whose name is in no file system and goes with the socket: at most 107 bytes, without the
    /// '@' that stands before it in texts.
    /// Throws: rondo::error where it is empty, longer, or has a NUL in it.
    static endpoint unix_abstract(std::string_view name);

    /// Of a sockaddr; nowhere, if it is of no family that we know.
    static endpoint from_system(const void* name, std::size_t size) noexcept;

    address_family family() const noexcept;
    bool is_ip() const noexcept {
        return family() == address_family::ipv4 || family() == address_family::ipv6;
    }
    /// Of an IP address; otherwise 0.
    std::uint16_t port() const noexcept;
    /// The address alone: "127.0.0.1", "::1", "/run/app.sock", "@abstract".
    std::string address() const;
    /// Of a Unix socket in the file system, its path, byte for byte; otherwise empty.
    std::string path() const;
    /// Of a Unix socket with an abstract name, that name; otherwise empty.
    std::string abstract_name() const;
    /// What `parse` reads back: "127.0.0.1:7007", "[::1]:7007", "unix:@abstract". Two that are none
    /// of these are words: "nowhere", and "an unnamed socket", which one end of a pair is.
    std::string text() const;

    /// The same address with that port. Of a Unix socket, itself.
    endpoint with_port(std::uint16_t port) const noexcept;

    /// A sockaddr, for system calls; none is larger than size_max.
    static constexpr std::uint32_t size_max = 110;
    const void* data() const noexcept { return bytes_; }
    std::uint32_t size() const noexcept { return size_; }

    bool operator==(const endpoint& other) const noexcept;

private:
    static const char* read(std::string_view text, endpoint& made) noexcept;
    const char* read_ip(std::string_view address, std::uint16_t port) noexcept;
    const char* read_unix(std::string_view escaped) noexcept;
    const char* set_unix(std::string_view name, bool abstract) noexcept;
    void set(const void* name, std::size_t size) noexcept;
    std::string_view unix_name() const noexcept;

    // A sockaddr_in, sockaddr_in6 or sockaddr_un; 0 behind it. A path's last byte, 0, counts.
    alignas(4) unsigned char bytes_[size_max] = {};
    std::uint16_t size_ = 0;
};
static_assert(std::is_trivially_destructible_v<endpoint> && sizeof(endpoint) == 112);
static_assert(std::is_trivially_copyable_v<endpoint>);

}  // namespace v0
}  // namespace rondo
