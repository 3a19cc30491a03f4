// SPDX-License-Identifier: MIT
// A slab of the frame pool: its states, and how it goes from one to the next (frame_slab.cpp).
//
// A slab is in one of these states, and only its owner's thread changes the state:
//   current   allocations of its size come from it;
//   partial   it was full and has free frames again. It is in a ring through the current slab of
//             its size, oldest first: the oldest has had the most time to collect free frames;
//   full      every frame is in use. `owner` is null although `home` is not. So the first free
//             comes here and makes the slab partial, and the inline path needs no test for it;
//   spare     empty and of no size;
//   orphaned  its thread has ended. `home` is null; the last free, on any thread, unmaps it.
//
// Memory is returned. A partial slab that becomes empty is unmapped, except for a few spares. The
// current slab of a size counts one use of itself (`biased`): so making and destroying one frame
// over and over does not reach this code. It drops that use when more than 256 KiB are carved. If
// it is empty after that, it starts over from its beginning, and the pages after the first 16 are
// returned. This happens at most ten times a second, so that a loop over a large batch does not
// fault them in each time.
#pragma once

#include <cstddef>
#include <cstdint>

#include <rondo/detail/base/frame_pool.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

struct alignas(64) slab : frame_slab {
    frame_pool* home = nullptr;  // its pool, full or not; other threads read it under the lock
    std::size_t frame_size = 0;
    char* next = nullptr;     // carved up to here
    char* end = nullptr;      // the last frame begins before this
    char* touched = nullptr;  // the highest `next` since its pages were last returned
    bool biased = false;
    std::int64_t released_at = 0;

    slab* newer = nullptr;  // the ring of a size's partial slabs
    slab* older = nullptr;
    slab* all_next = nullptr;  // list of all slabs of the pool; for a spare the next spare
    slab* all_previous = nullptr;

    void* remote_first = nullptr;  // frames freed by other threads, under the lock
    void* remote_last = nullptr;
    std::size_t remote_count = 0;
    slab* remote_next = nullptr;  // the pool's list of slabs with such frames

    char* base() noexcept { return reinterpret_cast<char*>(this); }
    char* first() noexcept { return base() + sizeof(slab); }
};
static_assert(sizeof(slab) % frame_size_step == 0);

/// The current slab of a size that has none; it never has a free frame.
extern constinit slab no_slab;

inline slab& whole(frame_slab& head) noexcept { return static_cast<slab&>(head); }

inline slab& slab_of(void* frame) noexcept {
    return *reinterpret_cast<slab*>(reinterpret_cast<std::uintptr_t>(frame) &
                                    ~(frame_slab_size - 1));
}

inline frame_slab*& current_of(frame_pool& pool, std::size_t frame_size) noexcept {
    return pool.current[(frame_size - 1) / frame_size_step];
}

inline void set_owner(slab& s, frame_pool* owner) noexcept {
    __atomic_store_n(&s.owner, owner, __ATOMIC_RELAXED);
}

/// Returns the slab's memory to the system.
void unmap(slab& s) noexcept;

/// Takes the slab out of the list of all slabs of its pool.
void delist(frame_pool& pool, slab& s) noexcept;

/// Inserts `s` as the newest of the ring whose head is `current`.
inline void ring_insert(slab& current, slab& s) noexcept {
    s.newer = &current;
    s.older = current.older;
    s.older->newer = &s;
    current.older = &s;
}

inline void ring_remove(slab& s) noexcept {
    s.older->newer = s.newer;
    s.newer->older = s.older;
}

/// Takes back the use of itself that a current slab counts.
inline void unbias(slab& s) noexcept {
    if (!s.biased) return;
    s.biased = false;
    --s.used;
}

/// Keeps an empty slab, unlinked already, as a spare, or returns it to the system.
void retire(frame_pool& pool, slab& s) noexcept;

/// Returns: a slab for frames of that size; `is_first` of this size.
/// Throws: std::bad_alloc.
slab& new_slab(frame_pool& pool, std::size_t frame_size, bool is_first);

/// Puts one page of frames onto the free list, in ascending order. So only memory that is about to
/// be used is touched.
void carve(slab& s) noexcept;

/// The current slab is empty and no longer biased: much of it was carved.
void current_emptied(slab& s) noexcept;

}  // namespace detail
}  // namespace v0
}  // namespace rondo
