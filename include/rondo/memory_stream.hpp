// SPDX-License-Identifier: MIT
// A connection in memory with two ends, for tests and for tasks that speak a protocol with each
// other. As a connection of the kernel's, it is bounded, it ends, and it can break.
#pragma once

#include <cstddef>
#include <limits>
#include <memory>
#include <type_traits>
#include <utility>

#include <rondo/stream.hpp>

namespace rondo {
inline namespace v0 {

/// Options of memory_stream::pair.
struct memory_stream_options {
    std::size_t capacity = 64 * 1024;  ///< bytes per direction; when it is full, a writer waits
    std::size_t chunk_max =
        std::numeric_limits<std::size_t>::max();  ///< bytes that one read gives at most
};
static_assert(std::is_trivially_destructible_v<memory_stream_options>);

namespace detail {
struct memory_link;
}

/// One end of a connection in memory. Move-only; the destructor closes it. One reader and one
/// writer at a time, as with byte_stream.
/// Thread: its loop's thread.
/// See:    trio.testing.memory_stream_pair, asyncio's StreamReader.feed_data.
class RONDO_API memory_stream {
public:
    static std::pair<memory_stream, memory_stream> pair(memory_stream_options options = {});

    memory_stream(memory_stream&& other) noexcept = default;
    memory_stream& operator=(memory_stream&& other) noexcept {
        memory_stream old(std::move(other));
        link_.swap(old.link_);
        std::swap(side_, old.side_);
        return *this;
    }
    ~memory_stream();

    /// As byte_stream::read_some. Bytes that the peer wrote before it closed are still read.
    task<chunk> read_some(buffer_view into);
    /// As byte_stream::unread: the next read begins with `bytes`.
    /// Throws: std::bad_alloc.
    void unread(const_buffer bytes);
    /// As byte_stream::write_all.
    /// Throws: write_error with EPIPE if the peer has closed.
    task<> write_all(const_buffer data);
    /// Ends the writing direction: the peer reads the end of the stream.
    task<> shutdown_write();
    /// Closes this end; waits on it end with ECANCELED.
    void close() noexcept;
    bool is_open() const noexcept;

private:
    memory_stream(std::shared_ptr<detail::memory_link> link, int side) noexcept
        : link_(std::move(link)), side_(side) {}
    const std::shared_ptr<detail::memory_link>& link() const noexcept;

    std::shared_ptr<detail::memory_link> link_;
    int side_ = 0;
};

}  // namespace v0
}  // namespace rondo
