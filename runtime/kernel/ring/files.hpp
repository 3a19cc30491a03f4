// SPDX-License-Identifier: MIT
// Descriptors that a ring keeps in a table of its own. An operation on one of these spares the kernel the look-up and
// the counting of a reference: 70 ns of the 1.3 us of a cached 4 KiB read. Putting one in and taking it out are system
// calls, so a descriptor gets its place after some operations, and loses it just before it is closed: while it has
// one the file stays open.
//
// Only on kernels where a place that is cleared lets go of its file at once (6.13; there is no bit for it, so 6.15's is
// asked for). Before that the file waited for older requests on other places, and a peer would not have seen the close.
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

    /// The place of `fd` from now on, or -1 where there is none.
    int put(mapped_ring& ring, int fd) noexcept {
        if (!table_ && !make(ring)) return -1;
        if (table_->free_count == 0) return -1;
        const std::uint16_t place = table_->free[table_->free_count - 1];
        if (ring.set_file(place, fd) < 0) return -1;
        --table_->free_count;
        table_->numbers[place] = fd;
        return place;
    }

    /// Only the ring's thread may clear a place: elsewhere it is kept for `clear_stale`.
    void take_out(mapped_ring& ring, int place) noexcept {
        if (!table_) return;  // all have been taken out
        const auto index = static_cast<std::uint16_t>(place);
        table_->numbers[index] = empty;
        if (ring.set_file(index, empty) >= 0)
            table_->free[table_->free_count++] = index;
        else
            table_->numbers[index] = stale, ++stale_;
    }

    /// There will be no more places.
    void take_all_out(mapped_ring& ring) noexcept {
        if (!table_ || ring.drop_files() < 0) return;
        table_.reset();
        stale_ = 0;
        refused_ = true;
    }

    bool any_stale() const noexcept { return stale_ != 0; }
    void clear_stale(mapped_ring& ring) noexcept {
        stale_ = 0;
        for (unsigned i = 0; i < places; ++i)
            if (table_->numbers[i] == stale) take_out(ring, static_cast<int>(i));
    }

    int number(int place) const noexcept {
        return table_->numbers[static_cast<std::size_t>(place)];
    }

    /// Everything that has a place gets the same one in another ring. Returns: 0 or -errno.
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
        refused_ = !table_ || ring.make_files(places) < 0;  // RLIMIT_NOFILE may be lower
        if (refused_) return table_.reset(), false;
        table_->numbers.fill(empty);
        for (unsigned i = 0; i < places; ++i) table_->free[i] = static_cast<std::uint16_t>(places - 1 - i);
        return true;
    }

    std::unique_ptr<table> table_;
    unsigned stale_ = 0;
    bool refused_ = false;
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
