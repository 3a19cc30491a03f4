// SPDX-License-Identifier: MIT
// Passing open descriptors with the bytes of a message through a Unix socket (SCM_RIGHTS).
#pragma once

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <span>
#include <vector>

#include <rondo/detail/loop/descriptor.hpp>
#include <rondo/operation.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

inline constexpr std::size_t descriptors_most = 253;  // SCM_MAX_FD

/// Memory for the control message of that many descriptors.
struct alignas(cmsghdr) control_space {
    std::array<char, CMSG_SPACE(descriptors_most * sizeof(int))> bytes;
};

inline request message_request(opcode code, const msghdr& message, int flags) noexcept {
    request ask;
    ask.code = code;
    ask.address = address_of(&message);
    ask.length = 1;
    ask.op_flags = static_cast<std::uint32_t>(flags);
    return ask;
}

/// Takes the descriptors out of a received message; each one is adopted, or closed.
inline std::vector<descriptor> adopt_descriptors(msghdr& message) {
    std::array<int, descriptors_most> numbers;
    std::size_t count = 0;
    for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
        const std::size_t more = std::min((c->cmsg_len - CMSG_LEN(0)) / sizeof(int),
                                          numbers.size() - count);
        std::memcpy(numbers.data() + count, CMSG_DATA(c), more * sizeof(int));
        count += more;
    }
    std::vector<descriptor> all;
    std::size_t adopted = 0;
    try {
        all.reserve(count);
        for (; adopted < count; ++adopted)
            all.push_back(descriptor::adopt(numbers[adopted], "received"));
    } catch (...) {
        for (; adopted < count; ++adopted) close_unclaimed(numbers[adopted]);
        throw;
    }
    return all;
}

/// Adds at least one descriptor to a message that will be sent.
inline void attach_descriptors(msghdr& message, control_space& control,
                               std::span<const int> numbers) noexcept {
    message.msg_control = control.bytes.data();
    message.msg_controllen = CMSG_SPACE(numbers.size() * sizeof(int));
    cmsghdr* rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(numbers.size() * sizeof(int));
    std::memcpy(CMSG_DATA(rights), numbers.data(), numbers.size() * sizeof(int));
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
