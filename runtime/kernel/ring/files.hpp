// SPDX-License-Identifier: MIT
// Registered files: descriptors in the ring's own table. An operation on one saves the kernel the
// look-up and a reference count: 70 ns of the 1.3 us of a cached 4 KiB read. Adding and removing
// are system calls, so a descriptor is added only after some operations. It is removed just before
// it is closed, because the table keeps the file open.
//
// They are used only on kernels that release a file at once when its place is cleared. That is
// since Linux 6.13; no feature bit shows it, so a bit of 6.15 is tested. Older kernels waited for
// earlier requests on other places, so a peer would not have seen the close.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <new>

#include "kernel/ring/mapped_ring.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

class fixed_files {
public:
    static constexpr unsigned places = 1024;

    /// Returns: the place of `fd` from now on, or -1 if it gets none.
    int add(mapped_ring& ring, int fd) noexcept {
        if (!table_ && !make(ring)) return -1;
        if (table_->free_count == 0) return -1;
        const std::uint16_t place = table_->free[table_->free_count - 1];
        if (ring.set_file(place, fd) < 0) return -1;
        --table_->free_count;
        table_->numbers[place] = fd;
        return place;
    }

    /// Clears a place. Only the ring's thread can do that: on another thread it becomes stale, for
    /// clear_stale.
    void remove(mapped_ring& ring, int place) noexcept {
        if (!table_) return;  // all have been removed
        const auto index = static_cast<std::uint16_t>(place);
        table_->numbers[index] = empty;
        if (ring.set_file(index, empty) >= 0)
            table_->free[table_->free_count++] = index;
        else
            table_->numbers[index] = stale, ++stale_;
    }

    /// Removes all descriptors and the table; `add` gives no place from then on.
    void remove_all(mapped_ring& ring) noexcept {
        if (!table_ || ring.drop_files() < 0) return;
        table_.reset();
        stale_ = 0;
        refused_ = true;
    }

    bool any_stale() const noexcept { return stale_ != 0; }
    void clear_stale(mapped_ring& ring) noexcept {
        stale_ = 0;
        for (unsigned i = 0; i < places; ++i)
            if (table_->numbers[i] == stale) remove(ring, static_cast<int>(i));
    }

    int number(int place) const noexcept {
        return table_->numbers[static_cast<std::size_t>(place)];
    }

    /// Adds all descriptors to another ring, at the same places. Returns: 0 or -errno.
    int copy_to(mapped_ring& fresh) noexcept {
        if (!table_) return 0;
        int result = fresh.make_files(places);
        for (unsigned i = 0; i < places && result >= 0; ++i)
            if (table_->numbers[i] >= 0) result = fresh.set_file(i, table_->numbers[i]);
        return result < 0 ? result : 0;
    }

private:
    enum : int { empty = -1, stale = -2 };
    struct table {
        std::array<int, places> numbers;
        std::array<std::uint16_t, places> free;
        unsigned free_count = places;
    };

    bool make(mapped_ring& ring) noexcept {
        if (refused_) return false;
        table_.reset(new (std::nothrow) table);
        refused_ = !table_ || ring.make_files(places) < 0;  // fails if RLIMIT_NOFILE is lower
        if (refused_) return table_.reset(), false;
        table_->numbers.fill(empty);
        for (unsigned i = 0; i < places; ++i)
            table_->free[i] = static_cast<std::uint16_t>(places - 1 - i);
        return true;
    }

    std::unique_ptr<table> table_;
    unsigned stale_ = 0;
    bool refused_ = false;
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
