// SPDX-License-Identifier: MIT
// Endpoints: literal addresses to socket names and back.
#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <charconv>
#include <cstring>

#include <rondo/endpoint.hpp>
#include <rondo/error.hpp>

namespace rondo {
inline namespace v0 {

namespace {

static_assert(sizeof(sockaddr_in6) == 28 && alignof(sockaddr_in6) == 4);

/// The bytes as that kind of name; copied, since they are no object of that type.
template <class Name>
Name name_of(const void* bytes) noexcept {
    Name name;
    std::memcpy(&name, bytes, sizeof name);
    return name;
}

sa_family_t family_of(const void* bytes) noexcept {
    sa_family_t family = 0;
    std::memcpy(&family, bytes, sizeof family);
    return family;
}

/// "eth0" or "2"; 0 where there is no such interface.
unsigned scope_of(const std::string& name) noexcept {
    unsigned number = 0;
    const char* end = name.data() + name.size();
    const auto read = std::from_chars(name.data(), end, number);
    if (read.ec == std::errc() && read.ptr == end) return number;
    return ::if_nametoindex(name.c_str());
}

/// "%eth0", or nothing.
std::string scope_text(unsigned scope) {
    char name[IF_NAMESIZE] = {};
    if (scope == 0) return {};
    if (::if_indextoname(scope, name) != nullptr) return std::string("%") + name;
    return '%' + std::to_string(scope);
}

std::string not_literal(std::string_view address) {
    return '"' + std::string(address) + "\" is no IP address; names are looked up by resolve()";
}

}  // namespace

endpoint::endpoint(std::string_view address, std::uint16_t port) {
    const std::optional<endpoint> parsed = parse(address, port);
    if (!parsed) throw error(not_literal(address));
    *this = *parsed;
}

std::optional<endpoint> endpoint::parse(std::string_view address, std::uint16_t port) noexcept try {
    if (address.size() > 2 && address.front() == '[' && address.back() == ']') {
        address = address.substr(1, address.size() - 2);
        if (address.find(':') == address.npos) return std::nullopt;
    }
    const std::size_t percent = address.find('%');
    const std::string host(address.substr(0, percent));
    if (host.find('\0') != host.npos) return std::nullopt;

    endpoint parsed;
    sockaddr_in in4{};
    sockaddr_in6 in6{};
    if (percent == address.npos && ::inet_pton(AF_INET, host.c_str(), &in4.sin_addr) == 1) {
        in4.sin_family = AF_INET;
        in4.sin_port = htons(port);
        std::memcpy(parsed.bytes_, &in4, sizeof in4);
        return parsed;
    }
    if (::inet_pton(AF_INET6, host.c_str(), &in6.sin6_addr) != 1) return std::nullopt;
    if (percent != address.npos) {
        in6.sin6_scope_id = scope_of(std::string(address.substr(percent + 1)));
        if (in6.sin6_scope_id == 0) return std::nullopt;
    }
    in6.sin6_family = AF_INET6;
    in6.sin6_port = htons(port);
    std::memcpy(parsed.bytes_, &in6, sizeof in6);
    return parsed;
} catch (...) {  // no memory for a copy that is longer than any address
    return std::nullopt;
}

endpoint endpoint::from_system(const void* name, std::size_t size) noexcept {
    endpoint made;
    if (size < sizeof(sa_family_t)) return made;
    const sa_family_t family = family_of(name);
    if (family == AF_INET && size >= sizeof(sockaddr_in)) {
        auto in4 = name_of<sockaddr_in>(name);
        std::memset(in4.sin_zero, 0, sizeof in4.sin_zero);
        std::memcpy(made.bytes_, &in4, sizeof in4);
    } else if (family == AF_INET6 && size >= sizeof(sockaddr_in6)) {
        std::memcpy(made.bytes_, name, sizeof(sockaddr_in6));
    }
    return made;
}

address_family endpoint::family() const noexcept {
    const sa_family_t family = family_of(bytes_);
    return family == AF_INET    ? address_family::ipv4
           : family == AF_INET6 ? address_family::ipv6
                                : address_family::none;
}

std::uint16_t endpoint::port() const noexcept {
    switch (family()) {
        case address_family::ipv4:
            return ntohs(name_of<sockaddr_in>(bytes_).sin_port);
        case address_family::ipv6:
            return ntohs(name_of<sockaddr_in6>(bytes_).sin6_port);
        case address_family::none:
            break;
    }
    return 0;
}

std::uint32_t endpoint::size() const noexcept {
    switch (family()) {
        case address_family::ipv4:
            return sizeof(sockaddr_in);
        case address_family::ipv6:
            return sizeof(sockaddr_in6);
        case address_family::none:
            break;
    }
    return 0;
}

std::string endpoint::address() const {
    char text[INET6_ADDRSTRLEN] = {};
    if (family() == address_family::ipv4) {
        const auto in4 = name_of<sockaddr_in>(bytes_);
        return ::inet_ntop(AF_INET, &in4.sin_addr, text, sizeof text);
    }
    if (family() != address_family::ipv6) return "nowhere";
    const auto in6 = name_of<sockaddr_in6>(bytes_);
    return ::inet_ntop(AF_INET6, &in6.sin6_addr, text, sizeof text) + scope_text(in6.sin6_scope_id);
}

std::string endpoint::text() const {
    switch (family()) {
        case address_family::ipv4:
            return address() + ':' + std::to_string(port());
        case address_family::ipv6:
            return '[' + address() + "]:" + std::to_string(port());
        case address_family::none:
            break;
    }
    return address();
}

bool endpoint::operator==(const endpoint& other) const noexcept {
    return std::memcmp(bytes_, other.bytes_, sizeof bytes_) == 0;
}

}  // namespace v0
}  // namespace rondo
