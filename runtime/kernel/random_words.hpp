// SPDX-License-Identifier: MIT
// Random words of the operating system, read in batches.
#pragma once

#include <sys/random.h>

#include <array>
#include <cstddef>
#include <cstdint>

#include <rondo/detail/base/assert.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

class random_words {
public:
    std::uint64_t next() noexcept {
        if (left_ == 0) {
            // Up to 256 bytes are neither short nor interrupted.
            const ssize_t size = ::getrandom(words_.data(), sizeof words_, 0);
            RONDO_ASSERT(size == static_cast<ssize_t>(sizeof words_), "getrandom failed");
            left_ = words_.size();
        }
        return words_[--left_];
    }

private:
    std::array<std::uint64_t, 32> words_;
    std::size_t left_ = 0;
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
