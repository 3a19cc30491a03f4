// SPDX-License-Identifier: MIT
// The buffers that a loop provides to its kernel. A receive takes one when bytes have come, and the
// reader gives it back. So ten thousand idle connections need no buffer, and bytes are used where
// they arrive.
//
// The pool is made with the first receive that needs it, with the number of buffers in
// loop_options; memory that was never filled is never touched. It outlives its loop as long as a
// reader holds one of its buffers.
#pragma once

#include <cstddef>
#include <cstdint>

#include <rondo/operation.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

class kernel;

class RONDO_API buffer_pool {
public:
    static constexpr std::uint16_t none = 0xffff;

    /// The pool of the running loop; null if the kernel cannot pick buffers, or there is no memory.
    static buffer_pool* of_running_loop() noexcept;

    char* data(std::uint16_t number) const noexcept {
        return memory_ + std::size_t{number} * stride();
    }
    std::size_t buffer_size() const noexcept { return buffer_size_; }
    /// True if all buffers are taken.
    bool exhausted() const noexcept { return out_ == count_; }

    /// Records that a completion has taken this buffer: a reader holds it.
    void took(std::uint16_t number) noexcept;
    /// Gives the buffer back to the kernel.
    void give_back(std::uint16_t number) noexcept;

    void release() noexcept {
        if (--holders_ == 0) delete this;
    }

    /// For readers that keep received buffers in a list: the next one, and the bytes in this one.
    struct filled {
        std::uint32_t size = 0;
        std::uint16_t next = none;
    };
    filled& note(std::uint16_t number) noexcept { return notes_[number]; }

    buffer_pool(const buffer_pool&) = delete;
    buffer_pool& operator=(const buffer_pool&) = delete;

private:
    buffer_pool(unsigned count, unsigned size);
    ~buffer_pool();
    struct of_loop;
    // Not a power of two, as the size is likely to be: otherwise the beginnings of all buffers,
    // which short messages use, would share a few places of the caches.
    unsigned stride() const noexcept { return buffer_size_ + 64; }
    std::size_t memory_size() const noexcept { return std::size_t{count_} * stride(); }

    kernel* kernel_ = nullptr;  // while the loop lives
    char* memory_ = nullptr;
    filled* notes_ = nullptr;
    unsigned buffer_size_;
    unsigned count_;
    unsigned out_ = 0;
    unsigned holders_ = 1;
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
