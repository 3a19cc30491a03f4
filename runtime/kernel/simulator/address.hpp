// SPDX-License-Identifier: MIT
// Socket addresses in the simulated network: comparing them, and checking whether two conflict.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

namespace rondo {
inline namespace v0 {
namespace detail {

/// A socket address of any supported family, by value.
class sim_name {
public:
    /// Returns: the unnamed address of the family: any host, port 0.
    static sim_name any(int family) noexcept {
        sim_name name;
        name.bytes_.storage.ss_family = static_cast<sa_family_t>(family);
        name.size_ = family == AF_INET    ? sizeof(sockaddr_in)
                     : family == AF_INET6 ? sizeof(sockaddr_in6)
                                          : sizeof(sa_family_t);
        return name;
    }

    /// Stores the address. Returns: 0, or the -errno of bind(2) and connect(2) for a socket of
    /// `family`.
    static int read(int family, const sockaddr* address, socklen_t size, sim_name& name) noexcept {
        if (size < sizeof(sa_family_t) || size > sizeof(sockaddr_storage)) return -EINVAL;
        name = any(family);
        if (size < name.size_) return -EINVAL;
        if (address->sa_family != family) return family == AF_UNIX ? -EINVAL : -EAFNOSUPPORT;
        if (family == AF_UNIX) {
            if (size <= sizeof(sa_family_t) || size > sizeof(sockaddr_un)) return -EINVAL;
            name.size_ = size;
        }
        std::memcpy(&name.bytes_, address, name.size_);
        // Some callers count the final 0 of the path, others do not. An abstract name begins with
        // 0.
        const char* path = name.bytes_.un.sun_path;
        if (family == AF_UNIX && path[0] != 0)
            name.size_ = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) +
                                                strnlen(path, sizeof(sockaddr_un::sun_path)) + 1);
        return 0;
    }

    /// Returns: the path of a Unix name; empty if it has none, or is abstract.
    static std::string path_in(const sockaddr* address, socklen_t size) {
        constexpr socklen_t before = offsetof(sockaddr_un, sun_path);
        if (size <= before || size > sizeof(sockaddr_un)) return {};
        if (address->sa_family != AF_UNIX) return {};
        const char* const path = reinterpret_cast<const sockaddr_un*>(address)->sun_path;
        return std::string(path, strnlen(path, size - before));
    }

    /// Like getsockname(2): copies as much as fits, and sets `size` to the full size.
    void copy_to(sockaddr* address, socklen_t* size) const noexcept {
        if (address == nullptr || size == nullptr) return;
        std::memcpy(address, &bytes_, std::min(*size, size_));
        *size = size_;
    }

    int family() const noexcept { return bytes_.storage.ss_family; }

    std::uint16_t port() const noexcept {
        if (family() == AF_INET) return ntohs(bytes_.in4.sin_port);
        return family() == AF_INET6 ? ntohs(bytes_.in6.sin6_port) : std::uint16_t(0);
    }
    void set_port(std::uint16_t port) noexcept {
        if (family() == AF_INET) bytes_.in4.sin_port = htons(port);
        if (family() == AF_INET6) bytes_.in6.sin6_port = htons(port);
    }

    /// Whether it is the name of a Unix socket in the file system.
    bool has_path() const noexcept {
        return family() == AF_UNIX && size_ > offsetof(sockaddr_un, sun_path) &&
               bytes_.un.sun_path[0] != 0;
    }
    bool any_host() const noexcept {
        if (family() == AF_INET) return bytes_.in4.sin_addr.s_addr == INADDR_ANY;
        return family() == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&bytes_.in6.sin6_addr);
    }
    /// Replaces "any host" by the loopback address: as a destination it means this host, as on
    /// Linux.
    void any_to_loopback() noexcept {
        if (!any_host()) return;
        if (family() == AF_INET)
            bytes_.in4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        else
            bytes_.in6.sin6_addr = in6addr_loopback;
    }

    /// Returns: the address from which one connects to this one: 127.0.0.1 to all of 127.0.0.0/8.
    sim_name source_to() const noexcept {
        sim_name name = *this;
        if (family() == AF_INET && ntohl(bytes_.in4.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET)
            name.bytes_.in4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        return name;
    }
    bool is_broadcast() const noexcept {
        return family() == AF_INET && bytes_.in4.sin_addr.s_addr == INADDR_BROADCAST;
    }
    /// Returns: an IPv4 address as an IPv6 socket has it, "::ffff:127.0.0.1".
    sim_name mapped() const noexcept {
        sim_name name = any(AF_INET6);
        auto* const bytes = name.bytes_.in6.sin6_addr.s6_addr;
        bytes[10] = bytes[11] = 0xff;
        std::memcpy(bytes + 12, &bytes_.in4.sin_addr, 4);
        name.set_port(port());
        return name;
    }
    /// Returns: the IPv4 address that a mapped one stands for; any other as it is.
    sim_name unmapped() const noexcept {
        if (family() != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&bytes_.in6.sin6_addr)) return *this;
        sim_name name = any(AF_INET);
        std::memcpy(&name.bytes_.in4.sin_addr, bytes_.in6.sin6_addr.s6_addr + 12, 4);
        name.set_port(port());
        return name;
    }

    /// Whether a connection to one of the addresses could reach a socket bound to the other.
    bool meets(const sim_name& other) const noexcept {
        if (family() != other.family()) return false;
        if (family() == AF_UNIX)
            return size_ == other.size_ && std::memcmp(&bytes_, &other.bytes_, size_) == 0;
        if (port() != other.port()) return false;
        if (any_host() || other.any_host()) return true;
        if (family() == AF_INET)
            return bytes_.in4.sin_addr.s_addr == other.bytes_.in4.sin_addr.s_addr;
        return IN6_ARE_ADDR_EQUAL(&bytes_.in6.sin6_addr, &other.bytes_.in6.sin6_addr);
    }

    /// Whether `other` is this address; or any port of this host, if the port is 0.
    bool covers(const sim_name& other) const noexcept {
        if (family() != other.family()) return false;
        sim_name name = other;
        if (port() == 0) name.set_port(0);
        return *this == name;
    }
    bool operator==(const sim_name& other) const noexcept {
        if (family() != other.family()) return false;
        if (family() == AF_INET)
            return port() == other.port() &&
                   bytes_.in4.sin_addr.s_addr == other.bytes_.in4.sin_addr.s_addr;
        if (family() == AF_INET6)
            return port() == other.port() &&
                   IN6_ARE_ADDR_EQUAL(&bytes_.in6.sin6_addr, &other.bytes_.in6.sin6_addr);
        return size_ == other.size_ && std::memcmp(&bytes_, &other.bytes_, size_) == 0;
    }

private:
    // A union, since compilers allow it as a view of the same bytes. They do not allow a cast from
    // sockaddr_storage.
    union {
        sockaddr_storage storage;
        sockaddr_in in4;
        sockaddr_in6 in6;
        sockaddr_un un;
    } bytes_{};
    socklen_t size_ = 0;
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
