// SPDX-License-Identifier: MIT
// Where coroutine frames come from. A frame lives from one await to the next thousand times over,
// so its allocation is the one cost that every await pays: 25 ns with malloc, 2 here. The thread's
// pool has, for each size in steps of 16 bytes up to 1 KiB, a current slab: 2 MiB of frames of one
// size, aligned to 2 MiB, so that a frame's address leads to its slab. Allocating takes the head of
// the slab's free list, freeing puts it back; both are inline and touch nothing but the slab's
// first line and the frame. Everything rarer (a list run dry, a slab gone empty or full, a frame
// freed by another thread, large ones) is in the library.
//
// The idea is mimalloc's (Leijen et al., 2019), cut down to one size of slab and to blocks of at
// most 1 KiB. A plain list per size, as most coroutine libraries have it, is as fast and never
// returns memory.
//
// Under a sanitizer every frame comes from malloc, or it would not see what is freed. The library
// finds out at run time and leaves `frame_pool::limit` at 0, which sends every call the long way:
// no macro here, one layout in every build.
#pragma once

#include <cstddef>
#include <cstdint>

#include <rondo/config.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

struct frame_pool;
struct plain_frames;

inline constexpr std::size_t frame_slab_size = std::size_t{2} << 20;
inline constexpr std::size_t frame_size_max = 1024;  // larger ones come from malloc
inline constexpr std::size_t frame_size_step = 16;
inline constexpr std::size_t frame_cached_max = 512;  // of these one frame of each size is kept at hand

/// What the inline paths see of a slab; it stands at the slab's beginning.
struct frame_slab {
    frame_pool* owner = nullptr;  // whose thread may free into it directly; null: the long way
    void* free = nullptr;         // freed frames, each pointing to the next
    std::size_t used = 0;         // frames handed out; one more where nobody is to hear of 0
};

/// One thread's frames. Zero until the thread's first frame, so it costs a thread that has none
/// nothing.
struct frame_pool {
    std::size_t limit;  // the largest size that `current` serves
    frame_slab* current[frame_size_max / frame_size_step];
    void* cached[frame_cached_max / frame_size_step];  // the frame freed last: what a loop of awaits uses
    frame_slab* slabs;   // all of this thread's
    frame_slab* spare;   // empty ones, kept for the next that is needed
    frame_slab* remote;  // those that other threads have freed into (under the library's lock)
    std::size_t slab_count;
    std::size_t spare_count;
    std::size_t huge_from;  // as many slabs have ordinary pages, since huge ones were slow
    std::int64_t plain;     // frames from malloc: made here, less those of them that were freed here
    plain_frames* plain_elsewhere;  // those that were freed on other threads; null until there is one from malloc
};
static_assert(sizeof(frame_pool) <= 896, "the static TLS block of a dlopened library is small");

[[gnu::visibility("default"), gnu::tls_model("initial-exec")]]
extern constinit thread_local frame_pool this_thread_frames;

RONDO_API void* frame_allocate_slowly(std::size_t size);
RONDO_API void frame_free_slowly(void* frame, std::size_t size) noexcept;
RONDO_API void frame_slab_emptied(frame_slab& slab) noexcept;

/// Memory for a frame, aligned to 16. Throws std::bad_alloc.
[[gnu::always_inline]] inline void* frame_allocate(std::size_t size) {
    frame_pool& pool = this_thread_frames;
    if (size <= frame_cached_max) {
        void*& cached = pool.cached[(size - 1) / frame_size_step];
        if (void* frame = cached) {
            cached = nullptr;
            return frame;
        }
    }
    if (size <= frame_size_max && size - 1 < pool.limit) [[likely]] {
        frame_slab& slab = *pool.current[(size - 1) / frame_size_step];
        if (void* frame = slab.free) [[likely]] {
            slab.free = *static_cast<void**>(frame);
            ++slab.used;
            return frame;
        }
    }
    return frame_allocate_slowly(size);
}

/// Gives back what frame_allocate(size) gave, on whichever thread.
[[gnu::always_inline]] inline void frame_free(void* frame, std::size_t size) noexcept {
    frame_pool& pool = this_thread_frames;
    if (size <= frame_size_max && size - 1 < pool.limit) [[likely]] {
        auto& slab = *reinterpret_cast<frame_slab*>(reinterpret_cast<std::uintptr_t>(frame) &
                                                    ~(frame_slab_size - 1));
        // Relaxed, since the owner may be changing it: only its own thread ever finds itself there.
        if (__atomic_load_n(&slab.owner, __ATOMIC_RELAXED) == &pool) [[likely]] {
            if (size <= frame_cached_max) {
                void*& cached = pool.cached[(size - 1) / frame_size_step];
                if (cached == nullptr) {
                    cached = frame;
                    return;
                }
            }
            *static_cast<void**>(frame) = slab.free;
            slab.free = frame;
            if (--slab.used == 0) [[unlikely]] frame_slab_emptied(slab);
            return;
        }
    }
    frame_free_slowly(frame, size);
}

/// How many frames of this thread are alive: made here and not yet freed, on whichever thread.
RONDO_API std::size_t live_frames() noexcept;

/// Gives this thread's empty slabs back to the system, those too that are kept for re-use. If the
/// thread has no more than `may_stay` of them, they stay: mapping them again costs more than the few
/// pages that they have touched.
RONDO_API void release_unused_frames(std::size_t may_stay = 0) noexcept;

}  // namespace detail
}  // namespace v0
}  // namespace rondo
