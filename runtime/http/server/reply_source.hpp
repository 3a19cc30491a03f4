// SPDX-License-Identifier: MIT
// The body of a reply that is not in memory: a function that writes it, or a file.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <rondo/file.hpp>
#include <rondo/http/reply.hpp>

#include "http/transport.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

struct reply_source {
    function<task<>(http_transport&)> upgrade;  // of status 101: speaks the other protocol
    function<task<>(http::body_writer&)> write;
    std::optional<std::uint64_t> length;  // of a file always
    std::string path;                     // of a file that is opened when the reply is sent
    rondo::file file;
    std::uint64_t offset = 0;  // in the file

    bool is_unopened_file() const noexcept { return !path.empty(); }
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
