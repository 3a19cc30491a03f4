// SPDX-License-Identifier: MIT
// Buffers that a ring may fill by itself: a receive names none, and takes one when bytes have come.
//
// They are offered through a small ring of their own in shared memory (IORING_REGISTER_PBUF_RING,
// Linux 5.19): giving one back is a slot written and a tail stored, and no system call. The kernel
// does not show which it has taken, so the ring notes those that its completions named: when a loop
// moves to another thread, and with it to another ring, only those that are not out are offered anew.
//
// The kernel takes them in their order, so all that are offered are used in turn, and a thousand
// would fall out of every cache between two uses. So only some are offered at a time; the others
// stand in a stack, and the one that was given back last, which is warm, is offered first.
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
    int lend(mapped_ring& ring, char* memory, unsigned count, unsigned size, unsigned stride) {
        if (slots_ != nullptr || count == 0 || count > 32768 || (count & (count - 1)) != 0)
            return -EINVAL;
        out_.assign(count, false);
        spare_.reserve(count);
        slot_count_ = std::min(count, offered_max);
        memory_ = memory;
        size_ = size;
        stride_ = stride;
        const int result = offer_to(ring);
        if (result < 0) out_.clear();
        return result;
    }

    /// To another ring, all but those that are out. 0 or -errno.
    int copy_to(mapped_ring& fresh) noexcept { return out_.empty() ? 0 : offer_to(fresh); }

    void took(std::uint16_t number) noexcept {
        out_[number] = true;
        --offered_;
        if (!spare_.empty()) {
            put(spare_.back());
            spare_.pop_back();
        }
    }
    void give_back(std::uint16_t number) noexcept {
        out_[number] = false;
        if (offered_ == slot_count_)
            spare_.push_back(number);
        else
            put(number);
    }

private:
    static constexpr unsigned offered_max = 256;

    std::size_t slots_size() const noexcept {
        const std::size_t page = 4096;  // as the kernel wants them
        return (slot_count_ * sizeof(buffer_slot) + page - 1) / page * page;
    }

    /// In new memory: the kernel of the ring before may still look at the old.
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
        for (std::size_t i = out_.size(); i-- > 0;)
            if (!out_[i]) give_back(static_cast<std::uint16_t>(i));
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
    std::vector<bool> out_;
    std::vector<std::uint16_t> spare_;  // with room for all
    unsigned slot_count_ = 0;
    unsigned offered_ = 0;  // in the ring, as far as completions have told
    char* memory_ = nullptr;
    unsigned size_ = 0;
    unsigned stride_ = 0;
    std::uint16_t tail_ = 0;
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
