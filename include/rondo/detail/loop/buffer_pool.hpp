// SPDX-License-Identifier: MIT
// The buffers that a loop lends to its kernel: receives take one when bytes have come, and whoever
// got the bytes gives it back. So ten thousand idle connections need no buffer, and what arrives is
// used where it lies.
//
// They are made with the first receive that wants one, and are as many as loop_options says; memory
// that was never filled is never used. The pool outlives its loop as long as somebody holds one of
// its buffers.
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

    /// The running loop's; null where the kernel cannot pick buffers, or there is no memory.
    static buffer_pool* of_running_loop() noexcept;

    char* data(std::uint16_t number) const noexcept {
        return memory_ + std::size_t{number} * stride();
    }
    std::size_t buffer_size() const noexcept { return buffer_size_; }
    /// Are all of them out?
    bool exhausted() const noexcept { return out_ == count_; }

    /// A completion has named it: it is out, and somebody has it.
    void took(std::uint16_t number) noexcept;
    /// It may be filled again.
    void give_back(std::uint16_t number) noexcept;

    void release() noexcept {
        if (--holders_ == 0) delete this;
    }

    /// For whoever keeps received buffers in a line: which is next, and how much is in this one.
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
    // Not the size, which is likely to be a power of two: the beginnings of all buffers, which is what short messages
    // use, would share a few places of the caches.
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
