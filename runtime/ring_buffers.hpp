// SPDX-License-Identifier: MIT
// Buffers that a ring may fill by itself: a receive names none, and takes one when bytes have come.
//
// They are offered through a small ring of their own in shared memory (IORING_REGISTER_PBUF_RING,
// Linux 5.19): giving one back is a slot written and a tail stored, and no system call. The kernel
// does not show which it has taken, so the ring notes those that its completions named: when a loop
// moves to another thread, and with it to another ring, only those that are not out are offered anew.
#pragma once

#include <sys/mman.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <rondo/detail/entry.hpp>

#include "mapped_ring.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

/// struct io_uring_buf; the first one's `tail` is the ring's.
struct buffer_slot {
    std::uint64_t address;
    std::uint32_t length;
    std::uint16_t number;
    std::uint16_t tail;
};
static_assert(sizeof(buffer_slot) == 16 && offsetof(buffer_slot, tail) == 14);

class lent_buffers {
public:
    lent_buffers() noexcept = default;
    lent_buffers(const lent_buffers&) = delete;
    lent_buffers& operator=(const lent_buffers&) = delete;
    ~lent_buffers() {
        if (slots_ != nullptr) ::munmap(slots_, slots_size());
    }

    /// 0 or -errno.
    int lend(mapped_ring& ring, char* memory, unsigned count, unsigned size) {
        if (slots_ != nullptr || count == 0 || count > 32768 || (count & (count - 1)) != 0)
            return -EINVAL;
        out_.assign(count, false);
        memory_ = memory;
        size_ = size;
        const int result = offer_to(ring);
        if (result < 0) out_.clear();
        return result;
    }

    /// To another ring, all but those that are out. 0 or -errno.
    int copy_to(mapped_ring& fresh) noexcept { return out_.empty() ? 0 : offer_to(fresh); }

    void took(std::uint16_t number) noexcept { out_[number] = true; }
    void give_back(std::uint16_t number) noexcept {
        out_[number] = false;
        put(number);
        show();
    }

private:
    std::size_t slots_size() const noexcept { return out_.size() * sizeof(buffer_slot); }

    /// In new memory: the kernel of the ring before may still look at the old.
    int offer_to(mapped_ring& ring) noexcept {
        void* fresh = ::mmap(nullptr, slots_size(), PROT_READ | PROT_WRITE,
                             MAP_ANONYMOUS | MAP_PRIVATE | MAP_POPULATE, -1, 0);
        if (fresh == MAP_FAILED) return -ENOMEM;
        ::madvise(fresh, slots_size(), MADV_DONTFORK);
        const int result = ring.register_buffers(fresh, static_cast<unsigned>(out_.size()));
        if (result < 0) {
            ::munmap(fresh, slots_size());
            return result;
        }
        if (slots_ != nullptr) ::munmap(slots_, slots_size());
        slots_ = static_cast<buffer_slot*>(fresh);
        tail_ = 0;
        for (std::size_t i = 0; i < out_.size(); ++i)
            if (!out_[i]) put(static_cast<std::uint16_t>(i));
        show();
        return 0;
    }
    void put(std::uint16_t number) noexcept {
        buffer_slot& slot = slots_[tail_++ & (out_.size() - 1)];
        slot.address = reinterpret_cast<std::uint64_t>(memory_ + std::size_t{number} * size_);
        slot.length = size_;
        slot.number = number;
    }
    void show() noexcept {
        std::atomic_ref<std::uint16_t>(slots_[0].tail).store(tail_, std::memory_order_release);
    }

    buffer_slot* slots_ = nullptr;
    std::vector<bool> out_;
    char* memory_ = nullptr;
    unsigned size_ = 0;
    std::uint16_t tail_ = 0;
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
