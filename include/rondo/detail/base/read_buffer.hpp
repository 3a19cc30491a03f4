// SPDX-License-Identifier: MIT
// Bytes that a stream has received but not delivered yet. They followed a line, were looked at but
// not consumed, or arrived before a read was cancelled. The next read takes them first.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

#include <rondo/buffer.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

/// A growing buffer: filled at its end, consumed from its front. It allocates on first use.
class RONDO_API read_buffer {
public:
    std::size_t size() const noexcept { return end_ - begin_; }
    bool empty() const noexcept { return begin_ == end_; }
    std::string_view text() const noexcept { return {bytes_.get() + begin_, size()}; }

    /// Returns: free memory after the content, of at least `least` bytes.
    /// Throws: std::bad_alloc.
    buffer_view room(std::size_t least);
    /// Appends the first `count` bytes of `room`, which the caller has filled.
    void filled(std::size_t count) noexcept { end_ += count; }
    /// Appends bytes, which may be in `room` already.
    /// Throws: std::bad_alloc.
    void append(const_buffer bytes);
    /// Inserts bytes before the content. They may be a part of `text`.
    /// Throws: std::bad_alloc.
    void prepend(const_buffer bytes);

    /// Removes the first `count` bytes.
    void drop(std::size_t count) noexcept {
        begin_ += count;
        if (begin_ == end_) begin_ = end_ = 0;
    }
    /// Moves as many of the first bytes as fit to `into`. Returns: how many.
    std::size_t take(buffer_view into) noexcept;

private:
    bool holds(const char* byte) const noexcept;

    std::unique_ptr<char[]> bytes_;
    std::size_t capacity_ = 0;
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
