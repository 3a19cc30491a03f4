// SPDX-License-Identifier: MIT
// Allocation of coroutine frames. Most frames live for one await only, so every await pays for an
// allocation: 25 ns with malloc, 2 ns here. For each size, in steps of 16 bytes up to 1 KiB, the
// thread's pool has a current slab: 2 MiB of frames of one size. A slab is aligned to 2 MiB, so
// that a frame's address leads to its slab. Allocating takes the head of the slab's free list;
// freeing puts the frame back. Both are inline and touch only the slab's first cache line and the
// frame. The rarer cases are in the library: an empty list, an empty or full slab, a frame freed by
// another thread, a large frame.
//
// The idea is mimalloc's (Leijen et al., 2019), reduced to one slab size and to blocks of at most
// 1 KiB. Most coroutine libraries have a plain list per size. That is as fast, but never returns
// memory.
//
// Under a sanitizer every frame comes from malloc, so that the sanitizer sees it freed. The library
// detects this at run time and leaves `frame_pool::limit` at 0, which sends every call to the slow
// path. No macro decides here, so the layout is the same in every build.
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
inline constexpr std::size_t frame_cached_max = 512;  // up to here one frame per size is cached

/// The part of a slab that the inline paths use. It is at the slab's beginning.
struct frame_slab {
    frame_pool* owner = nullptr;  // its thread may free into the slab inline; null: no thread may
    void* free = nullptr;         // list of freed frames, each pointing to the next
    std::size_t used = 0;  // frames handed out; one more while frame_slab_emptied is not wanted
};

/// The frames of one thread. It is all zero until the thread's first frame, so a thread without
/// frames pays nothing.
struct frame_pool {
    std::size_t limit;  // the largest size that `current` serves
    frame_slab* current[frame_size_max / frame_size_step];
    void* cached[frame_cached_max / frame_size_step];  // the frame freed last, for loops of awaits
    frame_slab* slabs;   // all slabs of this thread
    frame_slab* spare;   // empty slabs, kept for re-use
    frame_slab* remote;  // slabs that other threads have freed into (under the library's lock)
    std::size_t slab_count;
    std::size_t spare_count;
    std::size_t huge_from;  // huge pages only from this many slabs on, since they were slow
    std::int64_t plain;     // frames from malloc, made here and not freed on this thread
    plain_frames* plain_elsewhere;  // counts those freed on other threads; null before the first
    std::size_t written_most;  // written_frame_bytes() is at most this
};
static_assert(sizeof(frame_pool) <= 896, "the static TLS block of a dlopened library is small");

[[gnu::visibility("default"), gnu::tls_model("initial-exec")]]
extern constinit thread_local frame_pool this_thread_frames;

RONDO_API void* frame_allocate_slowly(std::size_t size);
RONDO_API void frame_free_slowly(void* frame, std::size_t size) noexcept;
RONDO_API void frame_slab_emptied(frame_slab& slab) noexcept;

/// Returns: memory for a frame of `size` bytes, aligned to 16.
/// Throws: std::bad_alloc.
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

/// Frees a frame from frame_allocate(size), on any thread.
[[gnu::always_inline]] inline void frame_free(void* frame, std::size_t size) noexcept {
    frame_pool& pool = this_thread_frames;
    if (size <= frame_size_max && size - 1 < pool.limit) [[likely]] {
        auto& slab = *reinterpret_cast<frame_slab*>(reinterpret_cast<std::uintptr_t>(frame) &
                                                    ~(frame_slab_size - 1));
        // Atomic, since the owner may be changing it. Relaxed is enough: no other thread ever finds
        // its own pool here.
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

/// Returns: the number of live frames of this thread: allocated here and not freed on any thread.
RONDO_API std::size_t live_frames() noexcept;

/// Returns: the bytes of this thread's slabs that were written to and not returned to the system.
RONDO_API std::size_t written_frame_bytes() noexcept;

/// Returns this thread's empty slabs to the system, including those kept for re-use; but not if at
/// most `may_stay` bytes of them were ever written to. A short program has a slab with a few pages
/// for each size of its frames, and its end need not wait until each is unmapped.
RONDO_API void release_unused_frames(std::size_t may_stay = 0) noexcept;

}  // namespace detail
}  // namespace v0
}  // namespace rondo
