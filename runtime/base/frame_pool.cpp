// SPDX-License-Identifier: MIT
// The rarer paths of the frame pool. Its header describes the design, frame_slab.hpp the slabs.
//
// Frames freed by other threads are rare (a task stays on its thread), so one lock for all of them
// is enough. A frame from malloc is counted by the thread that made it, wherever it is freed.
#include <rondo/detail/base/frame_pool.hpp>

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <mutex>
#include <new>
#include <utility>

#include "base/frame_slab.hpp"

// These are defined if and only if a sanitizer's runtime is in the process: this library is
// sanitized, or the program alone is.
extern "C" {
[[gnu::weak]] void __asan_init();
[[gnu::weak]] void __tsan_init();
[[gnu::weak]] void __msan_init();
}

namespace rondo {
inline namespace v0 {
namespace detail {

constinit thread_local frame_pool this_thread_frames = {};

/// Counts the frames that a thread has made by malloc. It lives until the thread has ended and the
/// last of them is freed.
struct plain_frames {
    static constexpr std::int64_t of_a_thread = std::int64_t{1} << 62;
    /// While the thread lives: of_a_thread minus the frames freed on other threads. Afterwards: the
    /// number of live frames.
    std::atomic<std::int64_t> left{of_a_thread};
};

namespace {

/// Header before a frame from malloc.
struct alignas(16) plain_head {
    plain_frames* frames;
};

constinit std::mutex lock;

bool always_malloc() noexcept {
    return __asan_init != nullptr || __tsan_init != nullptr || __msan_init != nullptr;
}

// Makes a full slab that has a free frame again partial, or current if its size has none.
void reopen(frame_pool& pool, slab& s) noexcept {
    set_owner(s, &pool);
    frame_slab*& current = current_of(pool, s.frame_size);
    if (current != &no_slab) return ring_insert(whole(*current), s);
    s.newer = s.older = &s;
    current = &s;
}

// -- other threads --------------------------------------------------------------------------------

void free_remotely(void* frame) noexcept {
    slab& s = slab_of(frame);
    std::unique_lock guard(lock);
    frame_pool* const home = s.home;
    if (home == nullptr) {
        if (--s.used == 0) unmap(s);
        return;
    }
    *static_cast<void**>(frame) = s.remote_first;
    if (s.remote_first == nullptr) {
        s.remote_last = frame;
        s.remote_next = static_cast<slab*>(home->remote);
        __atomic_store_n(&home->remote, &s, __ATOMIC_RELAXED);
    }
    s.remote_first = frame;
    ++s.remote_count;
}

void free_to_slab(frame_pool& pool, void* frame) noexcept {
    slab& s = slab_of(frame);
    if (__atomic_load_n(&s.home, __ATOMIC_RELAXED) != &pool) return free_remotely(frame);
    *static_cast<void**>(frame) = s.free;
    s.free = frame;
    if (s.owner == nullptr) reopen(pool, s);
    if (--s.used == 0) frame_slab_emptied(s);
}

// Moves the frames that other threads have freed to the slab's free list, under the lock. Returns
// whether the slab was full.
bool take_remote(slab& s) noexcept {
    const bool was_full = s.owner == nullptr;
    *static_cast<void**>(s.remote_last) = s.free;
    s.free = std::exchange(s.remote_first, nullptr);
    s.used -= std::exchange(s.remote_count, 0);
    return was_full;
}

void collect(frame_pool& pool) noexcept {
    if (__atomic_load_n(&pool.remote, __ATOMIC_RELAXED) == nullptr) return;
    std::unique_lock guard(lock);
    auto* s = static_cast<slab*>(pool.remote);
    __atomic_store_n(&pool.remote, nullptr, __ATOMIC_RELAXED);
    while (s != nullptr) {
        slab* const next = s->remote_next;
        if (take_remote(*s)) reopen(pool, *s);
        if (s->used == 0) frame_slab_emptied(*s);
        s = next;
    }
}

// Returns the cached frames to their slabs.
void uncache(frame_pool& pool) noexcept {
    for (void*& cached : pool.cached)
        if (cached != nullptr) free_to_slab(pool, std::exchange(cached, nullptr));
}

// -- start and end of a thread --------------------------------------------------------------------

void unmap_spares(frame_pool& pool) noexcept {
    while (pool.spare != nullptr) {
        slab& s = whole(*pool.spare);
        pool.spare = s.all_next;
        unmap(s);
    }
    pool.spare_count = 0;
}

void leave_plain(frame_pool& pool) noexcept {
    plain_frames* const frames = std::exchange(pool.plain_elsewhere, nullptr);
    const std::int64_t rest = plain_frames::of_a_thread - std::exchange(pool.plain, 0);
    if (frames == nullptr) return;
    if (frames->left.fetch_sub(rest, std::memory_order_acq_rel) == rest) delete frames;
}

void end_thread(void* argument) noexcept {
    auto& pool = *static_cast<frame_pool*>(argument);
    leave_plain(pool);
    uncache(pool);
    std::unique_lock guard(lock);
    for (auto* s = static_cast<slab*>(pool.remote); s != nullptr; s = s->remote_next)
        take_remote(*s);
    for (auto* s = static_cast<slab*>(pool.slabs); s != nullptr;) {
        slab* const next = s->all_next;
        unbias(*s);
        set_owner(*s, nullptr);
        __atomic_store_n(&s->home, nullptr, __ATOMIC_RELAXED);
        if (s->used == 0) unmap(*s);
        s = next;
    }
    unmap_spares(pool);
    pool = {};
}

// A pthread key instead of a thread_local destructor. Its destructor runs after all of those. It
// runs again if a later destructor of a key makes another frame, which starts the pool anew. The
// main thread's slabs are freed with the process.
pthread_key_t thread_end_key() {
    static const pthread_key_t key = [] {
        pthread_key_t made;
        if (::pthread_key_create(&made, end_thread) != 0) throw std::bad_alloc();
        return made;
    }();
    return key;
}

void start_thread(frame_pool& pool) {
    if (::pthread_setspecific(thread_end_key(), &pool) != 0) throw std::bad_alloc();
    std::fill(std::begin(pool.current), std::end(pool.current), &no_slab);
    pool.limit = frame_size_max;
}

bool is_empty(const slab& s) noexcept { return s.used == (s.biased ? 1 : 0); }

// Bytes that were written to: in all slabs, or in the empty ones.
std::size_t written_bytes(frame_pool& pool, bool in_empty_ones) noexcept {
    std::size_t sum = 0;
    for (frame_slab* list : {pool.slabs, pool.spare})
        for (auto* s = static_cast<slab*>(list); s != nullptr; s = s->all_next)
            if (!in_empty_ones || is_empty(*s))
                sum += static_cast<std::size_t>(std::max(s->next, s->touched) - s->base());
    return sum;
}

void unmap_empty(frame_pool& pool) noexcept {
    for (frame_slab*& current : pool.current) {
        if (current == nullptr || current == &no_slab) continue;
        slab& s = whole(*current);
        if (!is_empty(s)) continue;
        if (s.newer != &s) {
            current = s.newer;
            ring_remove(s);
        } else {
            current = &no_slab;
        }
        delist(pool, s);
        unmap(s);
    }
    unmap_spares(pool);
}

// -- allocation -----------------------------------------------------------------------------------

plain_frames& plain_frames_of(frame_pool& pool) {
    if (pool.plain_elsewhere == nullptr) {
        if (::pthread_setspecific(thread_end_key(), &pool) != 0) throw std::bad_alloc();
        pool.plain_elsewhere = new plain_frames;
    }
    return *pool.plain_elsewhere;
}

void* allocate_plain(frame_pool& pool, std::size_t size) {
    plain_frames& frames = plain_frames_of(pool);
    auto* const head = static_cast<plain_head*>(std::malloc(sizeof(plain_head) + size));
    if (head == nullptr) throw std::bad_alloc();
    head->frames = &frames;
    ++pool.plain;
    return head + 1;
}

void free_plain(frame_pool& pool, void* frame) noexcept {
    plain_head* const head = static_cast<plain_head*>(frame) - 1;
    plain_frames* const frames = head->frames;
    std::free(head);
    if (frames == pool.plain_elsewhere)
        --pool.plain;
    else if (frames->left.fetch_sub(1, std::memory_order_acq_rel) == 1)
        delete frames;
}

// Replaces the current slab, which has no free frame left, by the oldest partial one or a new one.
slab& replace_current(frame_pool& pool, slab& current, std::size_t size) {
    const bool none = &current == &no_slab;
    slab* next = none ? nullptr : current.newer;
    if (next == nullptr || next == &current) {
        next = &new_slab(pool, (size + frame_size_step - 1) & ~(frame_size_step - 1), none);
    } else {
        ring_remove(current);
    }
    if (!none) {
        unbias(current);
        set_owner(current, nullptr);
    }
    current_of(pool, size) = next;
    return *next;
}

}  // namespace

void* frame_allocate_slowly(std::size_t size) {
    frame_pool& pool = this_thread_frames;
    if (size > frame_size_max || size == 0 || always_malloc()) return allocate_plain(pool, size);
    if (pool.limit == 0) start_thread(pool);
    collect(pool);
    slab* s = &whole(*current_of(pool, size));
    if (s->free == nullptr && s->next >= s->end) s = &replace_current(pool, *s, size);
    if (s->free == nullptr) carve(*s);
    void* const frame = s->free;
    s->free = *static_cast<void**>(frame);
    ++s->used;
    return frame;
}

void frame_free_slowly(void* frame, std::size_t size) noexcept {
    frame_pool& pool = this_thread_frames;
    if (size > frame_size_max || size == 0 || always_malloc()) {
        free_plain(pool, frame);
        return;
    }
    free_to_slab(pool, frame);
}

void frame_slab_emptied(frame_slab& emptied) noexcept {
    frame_pool& pool = this_thread_frames;
    slab& s = whole(emptied);
    if (current_of(pool, s.frame_size) == &s) return current_emptied(s);
    ring_remove(s);
    delist(pool, s);
    retire(pool, s);
}

std::size_t live_frames() noexcept {
    frame_pool& pool = this_thread_frames;
    uncache(pool);
    collect(pool);
    std::int64_t plain = pool.plain;
    if (pool.plain_elsewhere != nullptr)
        plain -= plain_frames::of_a_thread -
                 pool.plain_elsewhere->left.load(std::memory_order_acquire);
    auto count = static_cast<std::size_t>(plain);
    for (auto* s = static_cast<slab*>(pool.slabs); s != nullptr; s = s->all_next)
        count += s->used - (s->biased ? 1 : 0);
    return count;
}

std::size_t written_frame_bytes() noexcept { return written_bytes(this_thread_frames, false); }

void release_unused_frames(std::size_t may_stay) noexcept {
    frame_pool& pool = this_thread_frames;
    uncache(pool);
    collect(pool);
    if (written_bytes(pool, true) > may_stay) unmap_empty(pool);
    pool.written_most = written_bytes(pool, false);
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
