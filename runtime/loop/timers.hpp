// SPDX-License-Identifier: MIT
// The deadlines of one loop: a 4-ary heap. Nearly every timeout is cancelled, so a cancelled timer
// is removed at once, and their number has no lasting cost.
//
// A heap item is 16 bytes: deadline, sequence number and the slot of its timer. Slots do not move.
// One table leads from a slot to the node in the waiting frame, another to the item's place in the
// heap. So sifting stays in dense arrays: it writes to no frame that has been cold since it was
// suspended, and compares equal deadlines by data in the items. (With node and place in each other,
// as is usual, a million sleepers with a thousand different deadlines took twice the time.) Four
// children a node instead of two halve the number of levels. With the root at the last place of a
// cache line, each family of siblings has one line of its own.
//
// Alternatives not taken: a hashed wheel (Varghese and Lauck), whose ticks are either coarse or
// many; marking cancelled timers as dead, which wins benchmarks of cancellation at the cost of
// every other timer; a list of the timers set in this turn.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <new>
#include <utility>

#include <rondo/config.hpp>
#include <rondo/detail/base/assert.hpp>
#include <rondo/detail/base/timer_node.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

/// Timers by deadline. Timers with the same deadline expire in the order in which they were set, as
/// long as fewer than 2^31 were set in between.
class timer_heap {
public:
    timer_heap() noexcept = default;
    timer_heap(const timer_heap&) = delete;
    timer_heap& operator=(const timer_heap&) = delete;
    ~timer_heap() { deallocate(tables_.items); }

    std::size_t size() const noexcept { return size_; }
    bool empty() const noexcept { return size_ == 0; }
    std::size_t capacity() const noexcept { return capacity_; }

    /// Calls node.expire in the first `expire` at or after `when`, but not in one that is running
    /// now.
    /// Throws: std::bad_alloc; nothing has changed then.
    void set(timer_node& node, time_point when) {
        RONDO_ASSERT(!node.is_set(), "a timer was set that is set already");
        fit();
        const std::uint32_t slot = take_slot();
        node.slot = slot;
        tables_.nodes[slot] = &node;
        rise(size_++, {ticks_of(when), sequence_++, slot});
    }

    /// Removes it. Does nothing if it is not set.
    void cancel(timer_node& node) noexcept {
        if (node.is_set()) take_out(node);
    }

    /// Moves a timer that is set to another deadline; among equals it counts as set now.
    void update(timer_node& node, time_point when) noexcept {
        RONDO_ASSERT(node.is_set(), "a timer was updated that is not set");
        place(tables_.places[node.slot], {ticks_of(when), sequence_++, node.slot});
    }

    time_point when(const timer_node& node) const noexcept {
        RONDO_ASSERT(node.is_set(), "the deadline was asked of a timer that is not set");
        return time_point(duration(tables_.items[tables_.places[node.slot]].when));
    }

    /// The earliest deadline; time_point::max() if there is none.
    time_point next() const noexcept {
        return size_ == 0 ? time_point::max() : time_point(duration(tables_.items[0].when));
    }

    /// Removes each timer whose deadline is not after `now` and calls its `expire`, in order. These
    /// calls may set, update and cancel timers, also ones that are due. A deadline set by them is
    /// at least one nanosecond after `now`, so it waits for the next pass: a timer that sets itself
    /// again in the past cannot hold this pass for ever.
    /// Returns: the number of timers expired.
    std::size_t expire(time_point now) noexcept {
        RONDO_ASSERT(now < time_point::max(),
                     "timer_heap::expire was called with time_point::max()");
        RONDO_ASSERT(floor_ == no_floor, "timer_heap::expire was called by a timer that expires");
        const std::int64_t limit = now.time_since_epoch().count();
        floor_ = limit + 1;
        std::size_t count = 0;
        for (; size_ != 0 && tables_.items[0].when <= limit; ++count) {
            timer_node& node = *tables_.nodes[tables_.items[0].slot];
            take_out(node);
            if (size_ != 0) prefetch_next();
            node.expire(node);
        }
        floor_ = no_floor;
        return count;
    }

private:
    struct item {
        std::int64_t when;
        std::uint32_t sequence;
        std::uint32_t slot;
    };
    static_assert(sizeof(item) == 16);

    // Three arrays of `capacity_` in one block.
    struct tables {
        item* items = nullptr;            // the heap: the first size_ of them
        timer_node** nodes = nullptr;     // by slot
        std::uint32_t* places = nullptr;  // by slot: the item's index; or the next free slot
    };

    static constexpr std::size_t capacity_min = 61;  // with the three unused places: 1 KiB of items
    static constexpr std::size_t unused = 3;  // aligns siblings with cache lines: 1 + 3, 5 + 3 ...
    static constexpr std::int64_t no_floor = std::numeric_limits<std::int64_t>::min();

    std::int64_t ticks_of(time_point when) const noexcept {
        return std::max(static_cast<std::int64_t>(when.time_since_epoch().count()), floor_);
    }

    // With branches, on purpose: g++ turns `<` on the pair into moves that depend on each other all
    // the way down the heap; a branch lets the processor go on with the level below.
    static bool before(const item& a, const item& b) noexcept {
        if (a.when > b.when) return false;
        if (a.when != b.when) [[likely]] return true;
        return static_cast<std::int32_t>(a.sequence - b.sequence) < 0;
    }

    void put(std::size_t index, const item& it) noexcept {
        tables_.items[index] = it;
        tables_.places[it.slot] = static_cast<std::uint32_t>(index);
    }

    // `hole` is free: parents move down into it until `it` fits.
    void rise(std::size_t hole, const item it) noexcept {
        while (hole != 0) {
            const std::size_t parent = (hole - 1) / 4;
            if (!before(it, tables_.items[parent])) break;
            put(hole, tables_.items[parent]);
            hole = parent;
        }
        put(hole, it);
    }

    // `hole` is free: the first of its children moves up into it until `it` fits.
    void sink(std::size_t hole, const item it) noexcept {
        for (std::size_t child = hole * 4 + 1; child < size_; child = hole * 4 + 1) {
            const std::size_t first = first_of_family(child);
            if (!before(tables_.items[first], it)) break;
            put(hole, tables_.items[first]);
            hole = first;
        }
        put(hole, it);
    }

    std::size_t first_of_family(std::size_t child) const noexcept {
        const std::size_t end = std::min(child + 4, size_);
        std::size_t first = child;
        for (std::size_t i = child + 1; i < end; ++i)
            if (before(tables_.items[i], tables_.items[first])) first = i;
        return first;
    }

    void place(std::size_t hole, const item it) noexcept {
        if (hole != 0 && before(it, tables_.items[(hole - 1) / 4]))
            rise(hole, it);
        else
            sink(hole, it);
    }

    /// Prefetches the frame of the next timer, which has been cold since its timer was set, and the
    /// node entries of the root's children, one of which is the timer after it.
    void prefetch_next() const noexcept {
        const auto* frame = reinterpret_cast<const char*>(tables_.nodes[tables_.items[0].slot]);
        __builtin_prefetch(frame);
        __builtin_prefetch(frame - 64);
        __builtin_prefetch(frame - 128);
        for (std::size_t child = 1; child <= 4; ++child)
            __builtin_prefetch(&tables_.nodes[tables_.items[child].slot]);
    }

    void take_out(timer_node& node) noexcept {
        const std::uint32_t slot = node.slot;
        const std::size_t hole = tables_.places[slot];
        node.slot = timer_node::npos;
        tables_.places[slot] = free_slot_;
        free_slot_ = slot;
        const item last = tables_.items[--size_];
        if (hole != size_) place(hole, last);
    }

    std::uint32_t take_slot() noexcept {
        if (free_slot_ == timer_node::npos) return slots_++;
        return std::exchange(free_slot_, tables_.places[free_slot_]);
    }

    // Makes room for one more. Growing and shrinking happen only here, where they may fail.
    void fit() {
        if (size_ == capacity_) [[unlikely]]
            grow(size_ * 2 + capacity_min);
        else if (size_ < capacity_ / 4 && capacity_ > 4 * capacity_min) [[unlikely]]
            shrink(size_ * 2 + capacity_min);
    }

    static constexpr std::align_val_t line{64};
    static constexpr std::size_t block_size(std::size_t capacity) noexcept {
        return unused * sizeof(item) +
               capacity * (sizeof(item) + sizeof(timer_node*) + sizeof(std::uint32_t));
    }
    static tables lay_out(void* block, std::size_t capacity) noexcept {
        tables made;
        made.items = static_cast<item*>(block) + unused;
        made.nodes = reinterpret_cast<timer_node**>(made.items + capacity);
        made.places = reinterpret_cast<std::uint32_t*>(made.nodes + capacity);
        return made;
    }
    static void deallocate(item* items) noexcept {
        if (items != nullptr) ::operator delete(items - unused, line);
    }

    void grow(std::size_t capacity) {
        RONDO_ASSERT(capacity < timer_node::npos, "a loop has more timers than there are slots");
        const tables old = tables_;
        tables_ = lay_out(::operator new(block_size(capacity), line), capacity);
        capacity_ = capacity;
        if (old.items == nullptr) return;
        std::memcpy(tables_.items, old.items, size_ * sizeof(item));
        std::memcpy(tables_.nodes, old.nodes, slots_ * sizeof(timer_node*));
        std::memcpy(tables_.places, old.places, slots_ * sizeof(std::uint32_t));
        deallocate(old.items);
    }

    // Renumbers the slots by place, so that they fit. Without memory, everything stays as it is.
    void shrink(std::size_t capacity) noexcept {
        void* const block = ::operator new(block_size(capacity), line, std::nothrow);
        if (block == nullptr) return;
        const tables old = tables_;
        tables_ = lay_out(block, capacity);
        capacity_ = capacity;
        for (std::uint32_t i = 0; i < size_; ++i) {
            const item& it = old.items[i];
            timer_node* const node = old.nodes[it.slot];
            node->slot = i;
            tables_.items[i] = {it.when, it.sequence, i};
            tables_.nodes[i] = node;
            tables_.places[i] = i;
        }
        slots_ = static_cast<std::uint32_t>(size_);
        free_slot_ = timer_node::npos;
        deallocate(old.items);
    }

    tables tables_;
    std::size_t size_ = 0;
    std::size_t capacity_ = 0;
    std::int64_t floor_ = no_floor;  // during a pass: the earliest deadline that may be set
    std::uint32_t sequence_ = 0u - 500;  // of the next one set; wraps early in every program
    std::uint32_t slots_ = 0;            // used so far; free_slot_ is a list of the free ones
    std::uint32_t free_slot_ = timer_node::npos;
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
