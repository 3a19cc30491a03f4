// SPDX-License-Identifier: MIT
// Copying bytes from one stream or file to another, up to the end.
//
// `copy` reads into a buffer and writes from it; it works with every stream. `splice` moves the
// bytes inside the kernel through a pipe of its own, so this process never has them in its memory.
// `splice` is slower: io_uring hands each splice to a worker thread of the kernel. From one Unix
// socket to another, 1 MiB (of 100 MiB) took 254 us copied and 413 us spliced (bench: proxy_copy
// and proxy_splice, two cores). For this reason receive_file reads and writes, too. send_file uses
// sendfile(2) for what is in memory already.
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

/// Options of copy.
struct copy_options {
    std::uint64_t limit = std::numeric_limits<std::uint64_t>::max();  ///< bytes to copy at most
    std::size_t buffer_size = 128 * 1024;
};
static_assert(std::is_trivially_destructible_v<copy_options>);

/// Reads from `from` and writes to `to` until `from` has ended or the limit is reached. Closes
/// neither.
/// Returns: the number of bytes copied.
/// Throws:  the exceptions of reading and writing.
/// Cancel:  if a write is cancelled, the bytes of the last read go back to `from`, provided that it
///          has `unread`, as all streams of rondo have; a file's position stays after them. If a
///          part of them had been sent, `to` refuses further writes (see write_all).
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

/// Sends a part of a file: from `offset` on, at most `count` bytes. To a socket of the kernel it
/// sends without a copy: if the file is changed before the peer has received the bytes, the peer
/// may receive the changed ones.
/// Returns: the number of bytes sent; fewer than `count` if the file ends before.
/// Throws:  std::system_error; write_error.
/// Cancel:  a part may have been sent; `to` then refuses further writes if a write ended in its
///          middle.
/// See:     sendfile(2), asyncio loop.sendfile.
RONDO_API task<std::uint64_t> send_file(
    file& from, byte_stream& to, std::uint64_t offset = 0,
    std::uint64_t count = std::numeric_limits<std::uint64_t>::max());
/// Receives into a file, from `offset` on, until the stream ends or `count` bytes have come.
/// Returns: the number of bytes received.
/// Throws:  std::system_error; write_error.
/// Cancel:  no byte is lost: bytes that have come are written first.
RONDO_API task<std::uint64_t> receive_file(
    byte_stream& from, file& to, std::uint64_t offset = 0,
    std::uint64_t count = std::numeric_limits<std::uint64_t>::max());

/// Moves bytes between two streams of the kernel, without a copy in this process, until `from` has
/// ended or `limit` bytes have been moved. Bytes that `from` has received ahead go first, copied.
/// If `from` has been read by views, all its bytes are copied, since it receives in the background.
/// Returns: the number of bytes moved.
/// Throws:  std::system_error; write_error, which says how many bytes were sent, if `to` takes no
///          more.
/// Cancel:  no byte is lost: bytes on their way between the two are written first, which takes as
///          long as the receiver takes.
/// See:     splice(2).
RONDO_API task<std::uint64_t> splice(
    byte_stream& from, byte_stream& to,
    std::uint64_t limit = std::numeric_limits<std::uint64_t>::max());

}  // namespace v0
}  // namespace rondo
