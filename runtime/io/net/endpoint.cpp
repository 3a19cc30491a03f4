// SPDX-License-Identifier: MIT
// Endpoints: parsing literal addresses and names of Unix sockets, and writing them as text.
//
// The private parse functions return the reason of a failure in words, or null. The constructors
// turn it into an exception, `parse` into an empty optional. Parsing allocates nothing: a text
// longer than any address is refused.
#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstring>

#include <rondo/endpoint.hpp>
#include <rondo/error.hpp>

namespace rondo {
inline namespace v0 {

namespace {

static_assert(sizeof(sockaddr_in6) == 28 && alignof(sockaddr_in6) == 4);
static_assert(sizeof(sockaddr_un) == 110 && alignof(sockaddr_un) <= 4);

constexpr std::size_t name_at = offsetof(sockaddr_un, sun_path);
constexpr std::size_t name_max = sizeof(sockaddr_un::sun_path) - 1;  // one byte is the NUL

/// The bytes as a sockaddr of type `Name`; copied, because no object of that type lives there.
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

/// Parses all of `text` as a decimal number without a sign, spaces or leading zeros.
template <class Number>
bool read_number(std::string_view text, Number& number) noexcept {
    const char* end = text.data() + text.size();
    if (text.size() > 1 && text.front() == '0') return false;
    const auto read = std::from_chars(text.data(), end, number);
    return read.ec == std::errc() && read.ptr == end;
}

/// A NUL-terminated copy of a text of bounded length, for system calls.
class c_text {
public:
    /// Empty if the text does not fit, or if it contains a NUL.
    explicit c_text(std::string_view text) noexcept {
        if (text.size() < sizeof text_ && text.find('\0') == text.npos)
            text.copy(text_, text.size());
    }
    const char* c_str() const noexcept { return text_; }

private:
    char text_[64] = {};
};

/// Number of the interface "eth0" or "2"; 0 if it does not exist.
unsigned scope_of(std::string_view name) noexcept {
    unsigned number = 0;
    if (read_number(name, number)) return number;
    return ::if_nametoindex(c_text(name).c_str());
}

/// "%eth0", or an empty text for scope 0.
std::string scope_text(unsigned scope) {
    char name[IF_NAMESIZE] = {};
    if (scope == 0) return {};
    const bool named = ::if_indextoname(scope, name) != nullptr;
    const bool is_unique = named && scope_of(name) == scope;  // false for an interface called "7"
    if (is_unique) return std::string("%") + name;
    return '%' + std::to_string(scope);
}

constexpr char hex_digits[] = "0123456789abcdef";

/// Escapes control characters and backslashes as \xHH.
std::string escaped(std::string_view name) {
    std::string text;
    for (const char c : name) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte == 0x7f || c == '\\')
            (text += "\\x").append({hex_digits[byte / 16], hex_digits[byte % 16]});
        else
            text += c;
    }
    return text;
}

/// Reverts `escaped` into `name`, which has `room` bytes. Returns: the size; more than `room` if it
/// does not fit; npos if a backslash begins no escape.
std::size_t unescape(std::string_view text, char* name, std::size_t room) noexcept {
    std::size_t size = 0;
    while (!text.empty() && size < room) {
        unsigned char byte = static_cast<unsigned char>(text.front());
        std::size_t taken = 1;
        if (byte == '\\') {
            if (text.size() < 4 || text[1] != 'x') return text.npos;
            const char* const digits = text.data() + 2;
            const auto read = std::from_chars(digits, digits + 2, byte, 16);
            if (read.ec != std::errc() || read.ptr != digits + 2) return text.npos;
            taken = 4;
        }
        name[size++] = static_cast<char>(byte);
        text.remove_prefix(taken);
    }
    return size + text.size();
}

constexpr std::string_view unix_prefix = "unix:";
constexpr const char* no_ip_address = "is no IP address; names are looked up by resolve()";

[[noreturn]] void throw_unreadable(const char* what, std::string_view text, const char* why) {
    throw error(what + ('"' + escaped(text.substr(0, 300))) + "\" " + why);
}

}  // namespace

// -- reading --------------------------------------------------------------------------------------

void endpoint::set(const void* name, std::size_t size) noexcept {
    *this = endpoint();
    std::memcpy(bytes_, name, size);
    size_ = static_cast<std::uint16_t>(size);
}

const char* endpoint::read_ip(std::string_view address, std::uint16_t port) noexcept {
    if (address.size() > 2 && address.front() == '[' && address.back() == ']') {
        address = address.substr(1, address.size() - 2);
        if (address.find(':') == address.npos) return no_ip_address;
    }
    const std::size_t percent = address.find('%');
    const c_text host(address.substr(0, percent));
    sockaddr_in in4{};
    sockaddr_in6 in6{};
    if (percent == address.npos && ::inet_pton(AF_INET, host.c_str(), &in4.sin_addr) == 1) {
        in4.sin_family = AF_INET;
        in4.sin_port = htons(port);
        set(&in4, sizeof in4);
        return nullptr;
    }
    if (::inet_pton(AF_INET6, host.c_str(), &in6.sin6_addr) != 1) return no_ip_address;
    if (percent != address.npos) {
        in6.sin6_scope_id = scope_of(address.substr(percent + 1));
        if (in6.sin6_scope_id == 0) return "names no network interface";
    }
    in6.sin6_family = AF_INET6;
    in6.sin6_port = htons(port);
    set(&in6, sizeof in6);
    return nullptr;
}

const char* endpoint::set_unix(std::string_view name, bool abstract) noexcept {
    if (name.empty()) return "is empty";
    if (name.size() > name_max) return "is longer than 107 bytes";
    if (!abstract && name.find('\0') != name.npos) return "has a NUL in it";
    sockaddr_un un{};
    un.sun_family = AF_UNIX;
    name.copy(un.sun_path + (abstract ? 1 : 0), name.size());
    set(&un, name_at + name.size() + 1);
    return nullptr;
}

const char* endpoint::read_unix(std::string_view escaped) noexcept {
    const bool abstract = !escaped.empty() && escaped.front() == '@';
    char name[name_max + 1];
    const std::size_t size = unescape(escaped.substr(abstract ? 1 : 0), name, sizeof name);
    if (size == escaped.npos) return "has a backslash that is not followed by x and two digits";
    return set_unix({name, std::min(size, sizeof name)}, abstract);
}

const char* endpoint::read(std::string_view text, endpoint& made) noexcept {
    if (text.substr(0, unix_prefix.size()) == unix_prefix)
        return made.read_unix(text.substr(unix_prefix.size()));
    const std::size_t colon = text.rfind(':');
    if (colon == text.npos || (text.front() == '[' && text.back() == ']')) return "has no port";
    const std::string_view address = text.substr(0, colon);
    if (address.find(':') != address.npos && (address.front() != '[' || address.back() != ']'))
        return "has an IPv6 address without brackets";
    std::uint16_t port = 0;
    if (!read_number(text.substr(colon + 1), port)) return "has no port from 0 to 65535";
    return made.read_ip(address, port);
}

endpoint::endpoint(std::string_view address, std::uint16_t port) {
    if (const char* why = read_ip(address, port)) throw_unreadable("", address, why);
}

endpoint::endpoint(std::string_view text) {
    if (const char* why = read(text, *this)) throw_unreadable("endpoint ", text, why);
}

std::optional<endpoint> endpoint::parse(std::string_view address, std::uint16_t port) noexcept {
    endpoint parsed;
    if (parsed.read_ip(address, port) != nullptr) return std::nullopt;
    return parsed;
}

std::optional<endpoint> endpoint::parse(std::string_view text) noexcept {
    endpoint parsed;
    if (read(text, parsed) != nullptr) return std::nullopt;
    return parsed;
}

endpoint endpoint::unix_path(std::string_view path) {
    endpoint made;
    if (const char* why = made.set_unix(path, false)) throw_unreadable("socket path ", path, why);
    return made;
}

endpoint endpoint::unix_abstract(std::string_view name) {
    constexpr const char* what = "abstract socket name ";
    endpoint made;
    if (name.find('\0') != name.npos) throw_unreadable(what, name, "has a NUL in it");
    if (const char* why = made.set_unix(name, true)) throw_unreadable(what, name, why);
    return made;
}

endpoint endpoint::from_system(const void* name, std::size_t size) noexcept {
    endpoint made;
    if (size < sizeof(sa_family_t)) return made;
    const sa_family_t family = family_of(name);
    if (family == AF_INET && size >= sizeof(sockaddr_in)) {
        auto in4 = name_of<sockaddr_in>(name);
        std::memset(in4.sin_zero, 0, sizeof in4.sin_zero);
        made.set(&in4, sizeof in4);
    } else if (family == AF_INET6 && size >= sizeof(sockaddr_in6)) {
        auto in6 = name_of<sockaddr_in6>(name);
        in6.sin6_flowinfo = 0;  // not part of the text
        made.set(&in6, sizeof in6);
    } else if (family == AF_UNIX) {
        // Callers may or may not count the NUL that ends a path. A path of 108 bytes has none.
        sockaddr_un un{};
        size = std::min(size, sizeof un);
        std::memcpy(&un, name, size);
        if (size > name_at && un.sun_path[0] != 0)
            size = name_at + ::strnlen(un.sun_path, name_max) + 1;
        made.set(&un, size);
    }
    return made;
}

// -- accessors ------------------------------------------------------------------------------------

address_family endpoint::family() const noexcept {
    switch (family_of(bytes_)) {
        case AF_INET:
            return address_family::ipv4;
        case AF_INET6:
            return address_family::ipv6;
        case AF_UNIX:
            return address_family::unix_socket;
        default:
            return address_family::none;
    }
}

std::uint16_t endpoint::port() const noexcept {
    switch (family()) {
        case address_family::ipv4:
            return ntohs(name_of<sockaddr_in>(bytes_).sin_port);
        case address_family::ipv6:
            return ntohs(name_of<sockaddr_in6>(bytes_).sin6_port);
        default:
            return 0;
    }
}

endpoint endpoint::with_port(std::uint16_t port) const noexcept {
    endpoint moved = *this;
    if (family() == address_family::ipv4) {
        auto in4 = name_of<sockaddr_in>(bytes_);
        in4.sin_port = htons(port);
        moved.set(&in4, sizeof in4);
    } else if (family() == address_family::ipv6) {
        auto in6 = name_of<sockaddr_in6>(bytes_);
        in6.sin6_port = htons(port);
        moved.set(&in6, sizeof in6);
    }
    return moved;
}

/// The used part of sun_path: with the NUL that begins an abstract name, without the NUL that ends
/// a path.
std::string_view endpoint::unix_name() const noexcept {
    if (family() != address_family::unix_socket || size_ <= name_at) return {};
    const auto* name = reinterpret_cast<const char*>(bytes_) + name_at;
    const std::size_t size = size_ - name_at;
    return {name, *name == 0 ? size : ::strnlen(name, size)};
}

std::string endpoint::path() const {
    const std::string_view name = unix_name();
    return name.empty() || name.front() == 0 ? std::string() : std::string(name);
}

std::string endpoint::abstract_name() const {
    const std::string_view name = unix_name();
    return name.empty() || name.front() != 0 ? std::string() : std::string(name.substr(1));
}

std::string endpoint::address() const {
    char text[INET6_ADDRSTRLEN] = {};
    switch (family()) {
        case address_family::ipv4: {
            const auto in4 = name_of<sockaddr_in>(bytes_);
            return ::inet_ntop(AF_INET, &in4.sin_addr, text, sizeof text);
        }
        case address_family::ipv6: {
            const auto in6 = name_of<sockaddr_in6>(bytes_);
            return ::inet_ntop(AF_INET6, &in6.sin6_addr, text, sizeof text) +
                   scope_text(in6.sin6_scope_id);
        }
        case address_family::unix_socket: {
            const std::string_view name = unix_name();
            if (name.empty()) return "an unnamed socket";
            if (name.front() == 0) return '@' + escaped(name.substr(1));
            if (name.front() == '@') return "\\x40" + escaped(name.substr(1));
            return escaped(name);
        }
        case address_family::none:
            break;
    }
    return "nowhere";
}

std::string endpoint::text() const {
    switch (family()) {
        case address_family::ipv4:
            return address() + ':' + std::to_string(port());
        case address_family::ipv6:
            return '[' + address() + "]:" + std::to_string(port());
        case address_family::unix_socket:
            if (!unix_name().empty()) return std::string(unix_prefix) + address();
            break;
        case address_family::none:
            break;
    }
    return address();
}

bool endpoint::operator==(const endpoint& other) const noexcept {
    return size_ == other.size_ && std::memcmp(bytes_, other.bytes_, size_) == 0;
}

}  // namespace v0
}  // namespace rondo
