// SPDX-License-Identifier: MIT
// Addresses of sockets. An endpoint holds the kernel's own sockaddr by value, so it is passed to
// system calls as it is, and copying is cheap. It is made from a literal IP address or from the
// name of a Unix socket. Names of hosts are looked up by `resolve` (dns.hpp), which takes time, may
// fail, and gives several endpoints.
//
// Each endpoint has one text, for logs and configuration files, which can be parsed again:
//
//     127.0.0.1:80   [::1]:80   [fe80::1%eth0]:80   unix:/run/app.sock   unix:@abstract
//
// The name of a Unix socket may contain any byte. Control characters (which would break a line),
// the backslash, and an '@' at the beginning of a path are written as \x40.
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

/// Kind of an endpoint's address.
enum class address_family : std::uint8_t { none, ipv4, ipv6, unix_socket };

/// An IP address and a port: {"127.0.0.1", 7007}, {"::1", 7007}, {"fe80::1%eth0", 7007}; or the
/// name of a Unix socket.
/// See: ip(7), ipv6(7), unix(7).
class RONDO_API endpoint {
public:
    /// No address; its text is "nowhere".
    constexpr endpoint() noexcept = default;
    /// From a literal address; IPv6 may stand in brackets.
    /// Throws: rondo::error if `address` is no literal address; host names are for `resolve`.
    endpoint(std::string_view address, std::uint16_t port);
    /// From one text, as `text` gives it: "[::1]:80", "unix:/run/app.sock".
    /// Throws: rondo::error, which says what is wrong with the text.
    explicit endpoint(std::string_view text);

    /// As the two constructors above, but empty instead of an exception.
    static std::optional<endpoint> parse(std::string_view address, std::uint16_t port) noexcept;
    static std::optional<endpoint> parse(std::string_view text) noexcept;

    /// The address of a Unix socket with a path in the file system, of at most 107 bytes.
    /// Throws: rondo::error if it is empty, longer, or contains a NUL.
    static endpoint unix_path(std::string_view path);
    /// The address of a Unix socket with an abstract name, which is in no file system and ends with
    /// the socket: at most 107 bytes, without the '@' that its text has.
    /// Throws: rondo::error if it is empty, longer, or contains a NUL.
    static endpoint unix_abstract(std::string_view name);

    /// From a sockaddr of `size` bytes; no address if its family is unknown.
    static endpoint from_system(const void* name, std::size_t size) noexcept;

    address_family family() const noexcept;
    bool is_ip() const noexcept {
        return family() == address_family::ipv4 || family() == address_family::ipv6;
    }
    /// Port of an IP address; otherwise 0.
    std::uint16_t port() const noexcept;
    /// The address alone: "127.0.0.1", "::1", "/run/app.sock", "@abstract".
    std::string address() const;
    /// Path of a Unix socket in the file system, byte for byte; otherwise empty.
    std::string path() const;
    /// Name of a Unix socket with an abstract name; otherwise empty.
    std::string abstract_name() const;
    /// Text that `parse` reads back: "127.0.0.1:7007", "[::1]:7007", "unix:@abstract". Two texts
    /// cannot be parsed: "nowhere", and "an unnamed socket" (one end of a socket pair).
    std::string text() const;

    /// The same address with `port`; a Unix socket's address is unchanged.
    endpoint with_port(std::uint16_t port) const noexcept;

    /// The sockaddr for system calls; none is larger than size_max.
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

    // A sockaddr_in, sockaddr_in6 or sockaddr_un, then zeros. The NUL that ends a path counts.
    alignas(4) unsigned char bytes_[size_max] = {};
    std::uint16_t size_ = 0;
};
static_assert(std::is_trivially_destructible_v<endpoint> && sizeof(endpoint) == 112);
static_assert(std::is_trivially_copyable_v<endpoint>);

}  // namespace v0
}  // namespace rondo
