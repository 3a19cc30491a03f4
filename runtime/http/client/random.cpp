// SPDX-License-Identifier: MIT
// Random bits.
#include "http/client/random.hpp"

#include <sys/random.h>

#include <cerrno>
#include <cstdio>
#include <system_error>

namespace rondo {
inline namespace v0 {

std::uint64_t detail::random_word() {
    std::uint64_t bits = 0;
    if (::getrandom(&bits, sizeof bits, 0) != static_cast<ssize_t>(sizeof bits))
        throw std::system_error(errno, std::generic_category(), "getrandom");
    return bits;
}

std::string detail::random_text() {
    char text[17];
    std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(random_word()));
    return text;
}

}  // namespace v0
}  // namespace rondo
