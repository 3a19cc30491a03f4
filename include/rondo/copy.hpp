// SPDX-License-Identifier: MIT
// Bytes from one place to another until there are no more.
//
// `copy` reads and writes, with a buffer in between, and works with every stream. `splice` moves the
// bytes inside the kernel, through a pipe of its own, and this process never has them in its memory.
// It is not the faster one: io_uring hands each splice to a worker of the kernel's. Of 100 MiB from
// one Unix socket to another a MiB took 254 us copied and 413 us spliced (bench: proxy_copy and
// proxy_splice, two cores). So files are sent and received by reading and writing, too.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <vector>

#include <rondo/file.hpp>
#include <rondo/stream.hpp>

namespace rondo {
inline namespace v0 {

/// How bytes are copied.
struct copy_options {
    std::uint64_t limit = std::numeric_limits<std::uint64_t>::max();  ///< at most so many
    std::size_t buffer_size = 128 * 1024;
};
static_assert(std::is_trivially_destructible_v<copy_options>);

/// Reads from `from` and writes to `to` until the first has ended or the limit has been reached.
/// Neither is closed.
/// Returns: how many bytes.
/// Throws:  what reading and writing throw.
/// Cancel:  what had been read and not written goes back to `from`, where that has `unread`, as every stream here
///          has; a file's position stays behind it. Where a part of it had gone `to` refuses further writes; see
///          write_all.
/// See:     Python's shutil.copyfileobj, tokio::io::copy.
template <input_stream From, output_stream To>
task<std::uint64_t> copy(From& from, To& to, copy_options options = {}) {
    std::vector<char> buffer(std::max<std::size_t>(options.buffer_size, 1));
    std::uint64_t copied = 0;
    while (copied < options.limit) {
        const auto most = std::min<std::uint64_t>(buffer.size(), options.limit - copied);
        const buffer_view room(buffer.data(), static_cast<std::size_t>(most));
        const chunk some = co_await from.read_some(room);
        if (!some) break;
        try {
            co_await to.write_all(some);
        } catch (const cancelled&) {
            if constexpr (requires { from.unread(some); }) from.unread(some);
            throw;
        }
        copied += some.size();
    }
    co_return copied;
}

/// Sends a part of a file: from `offset` on, at most `count` bytes.
/// Returns: how many bytes there were.
/// Cancel:  as copy; and the next one.
/// See:     sendfile(2), asyncio loop.sendfile.
RONDO_API task<std::uint64_t> send_file(
    file& from, byte_stream& to, std::uint64_t offset = 0,
    std::uint64_t count = std::numeric_limits<std::uint64_t>::max());
/// Receives into a file, from `offset` on, until the stream ends or `count` bytes have come.
/// Returns: how many bytes came.
/// Cancel:  nothing lost: what has come is written first.
RONDO_API task<std::uint64_t> receive_file(
    byte_stream& from, file& to, std::uint64_t offset = 0,
    std::uint64_t count = std::numeric_limits<std::uint64_t>::max());

/// Moves bytes between two streams of the kernel's, without a copy in this process, until the first
/// has ended or `limit` have been moved. What `from` has received ahead goes first, copied; and so
/// does everything from a stream that has been read by views, which receives by itself.
/// Returns: how many bytes.
/// Throws:  std::system_error; write_error, which says how many bytes went, if `to` takes no more.
/// Cancel:  what is on its way between the two is written first, so that nothing is lost; that takes
///          as long as the receiver does.
/// See:     splice(2).
RONDO_API task<std::uint64_t> splice(
    byte_stream& from, byte_stream& to,
    std::uint64_t limit = std::numeric_limits<std::uint64_t>::max());

}  // namespace v0
}  // namespace rondo
