// SPDX-License-Identifier: MIT
// Provided buffers: a receive names no buffer and takes one of these when bytes arrive.
//
// They are offered in a small ring in shared memory (IORING_REGISTER_PBUF_RING, Linux 5.19).
// Returning one writes a slot and stores a tail, without a system call. The kernel does not show
// which buffers it has taken, so the ring records those that its completions name. When a loop
// moves to another thread, and so to another ring, only the buffers not in use are offered again.
//
// The kernel takes them in order, so all offered buffers are used in turn. A thousand would drop
// out of the caches between two uses. So at most 256 are offered at a time. The others are in a
// stack: the buffer returned last, which is still cached, is offered first.
#pragma once

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <rondo/detail/kernel/entry.hpp>

#include "kernel/ring/mapped_ring.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

/// struct io_uring_buf; the first one's `tail` is that of the whole ring.
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

    /// Returns: 0 or -errno.
    int lend(mapped_ring& ring, char* memory, unsigned count, unsigned size, unsigned stride) {
        if (slots_ != nullptr || count == 0 || count > 32768 || (count & (count - 1)) != 0)
            return -EINVAL;
        in_use_.assign(count, false);
        spare_.reserve(count);
        slot_count_ = std::min(count, offered_max);
        memory_ = memory;
        size_ = size;
        stride_ = stride;
        const int result = offer_to(ring);
        if (result < 0) in_use_.clear();
        return result;
    }

    /// Offers all buffers that are not in use to another ring. Returns: 0 or -errno.
    int copy_to(mapped_ring& fresh) noexcept { return in_use_.empty() ? 0 : offer_to(fresh); }

    /// Records that a completion has named this buffer.
    void take(std::uint16_t number) noexcept {
        in_use_[number] = true;
        --offered_;
        if (!spare_.empty()) {
            put(spare_.back());
            spare_.pop_back();
        }
    }
    void give_back(std::uint16_t number) noexcept {
        in_use_[number] = false;
        if (offered_ == slot_count_)
            spare_.push_back(number);
        else
            put(number);
    }

private:
    static constexpr unsigned offered_max = 256;

    std::size_t slots_size() const noexcept {
        const std::size_t page = 4096;  // the kernel requires whole pages
        return (slot_count_ * sizeof(buffer_slot) + page - 1) / page * page;
    }

    /// Offers them in new memory, since the previous ring may still read the old memory.
    int offer_to(mapped_ring& ring) noexcept {
        void* fresh = ::mmap(nullptr, slots_size(), PROT_READ | PROT_WRITE,
                             MAP_ANONYMOUS | MAP_PRIVATE | MAP_POPULATE, -1, 0);
        if (fresh == MAP_FAILED) return -ENOMEM;
        ::madvise(fresh, slots_size(), MADV_DONTFORK);
        const int result = ring.register_buffers(fresh, slot_count_);
        if (result < 0) {
            ::munmap(fresh, slots_size());
            return result;
        }
        if (slots_ != nullptr) ::munmap(slots_, slots_size());
        slots_ = static_cast<buffer_slot*>(fresh);
        tail_ = 0;
        offered_ = 0;
        spare_.clear();
        for (std::size_t i = in_use_.size(); i-- > 0;)
            if (!in_use_[i]) give_back(static_cast<std::uint16_t>(i));
        return 0;
    }
    void put(std::uint16_t number) noexcept {
        buffer_slot& slot = slots_[tail_++ & (slot_count_ - 1)];
        slot.address = reinterpret_cast<std::uint64_t>(memory_ + std::size_t{number} * stride_);
        slot.length = size_;
        slot.number = number;
        ++offered_;
        std::atomic_ref<std::uint16_t>(slots_[0].tail).store(tail_, std::memory_order_release);
    }

    buffer_slot* slots_ = nullptr;
    std::vector<bool> in_use_;
    std::vector<std::uint16_t> spare_;  // with capacity for all
    unsigned slot_count_ = 0;
    unsigned offered_ = 0;  // in the ring, as far as completions have shown
    char* memory_ = nullptr;
    unsigned size_ = 0;
    unsigned stride_ = 0;
    std::uint16_t tail_ = 0;
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
