// SPDX-License-Identifier: MIT
// Cuts a text in two.
#include "queue_address.hpp"

#include <cstddef>

#include <fmt/core.h>

#include "options.hpp"

namespace crawler {

std::uint64_t hash_of_url(std::string_view url) {  // FNV-1a
    std::uint64_t hash = 0xcbf29ce484222325;
    for (const char c : url) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    return hash;
}

queue_address::queue_address(std::string_view text) {
    const bool is_socket = text.starts_with("unix:");
    const auto separator = is_socket ? text.rfind('#') : text.rfind('/');
    const auto host = text.find("://");
    if (separator == text.npos || host == text.npos || (!is_socket && separator < host + 3) ||
        separator + 1 == text.size())
        throw usage_error("--queue: redis://HOST/NAME, or unix:///PATH#NAME");
    server = text.substr(0, separator);
    name = text.substr(separator + 1);
}

std::string queue_id(const std::string& url) {
    constexpr std::size_t whole_max = 1000;  // work_queue takes 1024 bytes
    if (url.size() <= whole_max) return url;
    return fmt::format("{}~{:016x}", url.substr(0, whole_max), hash_of_url(url));
}

}  // namespace crawler
