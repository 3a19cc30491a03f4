// SPDX-License-Identifier: MIT
// Bytes that a stream has received before anybody asked for them: what follows a line, what was
// looked at and not taken, what came before a read was cancelled. They are read first.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

#include <rondo/buffer.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

/// Empty, and without memory, until first used.
class RONDO_API read_buffer {
public:
    std::size_t size() const noexcept { return end_ - begin_; }
    bool empty() const noexcept { return begin_ == end_; }
    std::string_view text() const noexcept { return {bytes_.get() + begin_, size()}; }

    /// Room for at least `least` more bytes.
    /// Throws: std::bad_alloc.
    buffer_view room(std::size_t least);
    /// So much of the room has been filled.
    void filled(std::size_t count) noexcept { end_ += count; }
    /// Puts bytes before all that is there; they may be what `text` gave.
    /// Throws: std::bad_alloc.
    void prepend(const_buffer bytes);

    void drop(std::size_t count) noexcept {
        begin_ += count;
        if (begin_ == end_) begin_ = end_ = 0;
    }
    /// Moves the first bytes to `into`, as many as there are and fit. Returns: how many.
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
