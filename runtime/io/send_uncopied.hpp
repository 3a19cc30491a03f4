// SPDX-License-Identifier: MIT
// Sending a part of a file from the kernel's own memory of it, as sendfile(2) does.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include <rondo/file.hpp>
#include <rondo/stream.hpp>
#include <rondo/task.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

/// Waits until `to` takes bytes, and sends at most `count` of the file's bytes from `offset` on.
/// Returns: how many were sent; 0 at the end of the file; none if they have to be read and written:
///          they are not in memory, `to` is no socket, or a kernel that cannot do it.
/// Throws:  as write_all.
/// Cancel:  nothing was sent.
task<std::optional<std::size_t>> send_uncopied(const file& from, byte_stream& to,
                                               std::uint64_t offset, std::size_t count);

}  // namespace detail
}  // namespace v0
}  // namespace rondo
