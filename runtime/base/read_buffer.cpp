// SPDX-License-Identifier: MIT
// The buffer of received bytes. It moves its content to the front if that makes enough room;
// otherwise it at least doubles.
#include <rondo/detail/base/read_buffer.hpp>

#include <algorithm>
#include <cstring>
#include <functional>
#include <string>

namespace rondo {
inline namespace v0 {
namespace detail {

buffer_view read_buffer::room(std::size_t least) {
    if (capacity_ - end_ < least) {
        const std::size_t kept = size();
        if (capacity_ - kept >= least && begin_ >= kept) {
            if (kept != 0) std::memcpy(bytes_.get(), bytes_.get() + begin_, kept);
        } else {
            const std::size_t capacity = std::max(2 * kept, kept + least);
            std::unique_ptr<char[]> larger(new char[capacity]);
            if (kept != 0) std::memcpy(larger.get(), bytes_.get() + begin_, kept);
            bytes_ = std::move(larger);
            capacity_ = capacity;
        }
        begin_ = 0;
        end_ = kept;
    }
    return {bytes_.get() + end_, capacity_ - end_};
}

bool read_buffer::holds(const char* byte) const noexcept {
    const std::less<const char*> before;
    return bytes_ && !before(byte, bytes_.get()) && before(byte, bytes_.get() + capacity_);
}

void read_buffer::append(const_buffer bytes) {
    if (bytes_ == nullptr || bytes.data() != bytes_.get() + end_) {
        const buffer_view free = room(bytes.size());
        std::memcpy(free.data(), bytes.data(), bytes.size());
    }
    filled(bytes.size());
}

void read_buffer::prepend(const_buffer bytes) {
    if (bytes.empty()) return;
    if (holds(bytes.data())) return prepend(std::string(bytes.data(), bytes.size()));
    if (begin_ < bytes.size()) {
        const std::size_t kept = size();
        room(bytes.size());
        std::memmove(bytes_.get() + begin_ + bytes.size(), bytes_.get() + begin_, kept);
        end_ += bytes.size();
    } else {
        begin_ -= bytes.size();
    }
    std::memcpy(bytes_.get() + begin_, bytes.data(), bytes.size());
}

std::size_t read_buffer::take(buffer_view into) noexcept {
    const std::size_t count = std::min(size(), into.size());
    if (count != 0) std::memcpy(into.data(), bytes_.get() + begin_, count);
    drop(count);
    return count;
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
