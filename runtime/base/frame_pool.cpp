// SPDX-License-Identifier: MIT
// The rarer paths of the frame pool. The header describes the design.
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
// over and over does not reach this file. It drops that use when more than 256 KiB are carved. If
// it is empty after that, it starts over from its beginning, and the pages after the first 16 are
// returned. This happens at most ten times a second, so that a loop over a large batch does not
// fault them in each time.
//
// Frames freed by other threads are rare (a task stays on its thread), so one lock for all of them
// is enough. A frame from malloc is counted by the thread that made it, wherever it is freed.
#include <rondo/detail/base/frame_pool.hpp>

#include <pthread.h>
#include <sys/mman.h>
#include <time.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <mutex>
#include <new>
#include <utility>

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

constexpr std::size_t page_size = 4096;
constexpr std::size_t biased_max = 256 * 1024;  // a slab carved no further keeps its pages

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

constinit slab no_slab;  // the current slab of a size that has none; it never has a free frame
constinit std::mutex lock;

slab& whole(frame_slab& head) noexcept { return static_cast<slab&>(head); }

slab& slab_of(void* frame) noexcept {
    return *reinterpret_cast<slab*>(reinterpret_cast<std::uintptr_t>(frame) &
                                    ~(frame_slab_size - 1));
}

frame_slab*& current_of(frame_pool& pool, std::size_t frame_size) noexcept {
    return pool.current[(frame_size - 1) / frame_size_step];
}

bool always_malloc() noexcept {
    return __asan_init != nullptr || __tsan_init != nullptr || __msan_init != nullptr;
}

void set_owner(slab& s, frame_pool* owner) noexcept {
    __atomic_store_n(&s.owner, owner, __ATOMIC_RELAXED);
}

std::int64_t now_ms() noexcept {
    timespec now;
    ::clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1'000'000;
}

// -- mapping --------------------------------------------------------------------------------------

void unmap(slab& s) noexcept { ::munmap(s.base(), frame_slab_size); }

// Linux aligns a mapping of this size by itself since 6.7. Otherwise twice as much is mapped and
// the ends are cut off.
void* map_aligned() {
    constexpr int protection = PROT_READ | PROT_WRITE;
    constexpr int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    const auto misaligned = [](void* p) {
        return reinterpret_cast<std::uintptr_t>(p) & (frame_slab_size - 1);
    };
    void* room = ::mmap(nullptr, frame_slab_size, protection, flags, -1, 0);
    if (room == MAP_FAILED) throw std::bad_alloc();
    if (misaligned(room) == 0) return room;
    ::munmap(room, frame_slab_size);
    room = ::mmap(nullptr, 2 * frame_slab_size, protection, flags, -1, 0);
    if (room == MAP_FAILED) throw std::bad_alloc();
    char* const begin = static_cast<char*>(room);
    char* const aligned = begin + (frame_slab_size - misaligned(room));
    ::munmap(begin, static_cast<std::size_t>(aligned - begin));
    char* const end = aligned + frame_slab_size;
    const auto rest = static_cast<std::size_t>(begin + 2 * frame_slab_size - end);
    if (rest != 0) ::munmap(end, rest);
    return aligned;
}

// -- lists ----------------------------------------------------------------------------------------

void enlist(frame_pool& pool, slab& s) noexcept {
    s.all_previous = nullptr;
    s.all_next = static_cast<slab*>(pool.slabs);
    if (s.all_next != nullptr) s.all_next->all_previous = &s;
    pool.slabs = &s;
    ++pool.slab_count;
}

void delist(frame_pool& pool, slab& s) noexcept {
    if (s.all_previous != nullptr)
        s.all_previous->all_next = s.all_next;
    else
        pool.slabs = s.all_next;
    if (s.all_next != nullptr) s.all_next->all_previous = s.all_previous;
    --pool.slab_count;
}

// Inserts `s` as the newest of the ring whose head is `current`.
void ring_insert(slab& current, slab& s) noexcept {
    s.newer = &current;
    s.older = current.older;
    s.older->newer = &s;
    current.older = &s;
}

void ring_remove(slab& s) noexcept {
    s.older->newer = s.newer;
    s.newer->older = s.older;
}

// -- the states of a slab -------------------------------------------------------------------------

void unbias(slab& s) noexcept {
    if (!s.biased) return;
    s.biased = false;
    --s.used;
}

void start_over(slab& s) noexcept {
    s.free = nullptr;
    s.next = s.first();
    s.used = 1;
    s.biased = true;
}

// Keeps an empty slab, unlinked already, as a spare, while spares are few compared to the slabs in
// use. So a load that oscillates around the end of a slab maps nothing.
void retire(frame_pool& pool, slab& s) noexcept {
    set_owner(s, nullptr);
    s.all_next = static_cast<slab*>(pool.spare);
    pool.spare = &s;
    ++pool.spare_count;
    while (pool.spare_count > 1 + pool.slab_count / 8) {
        slab& surplus = whole(*pool.spare);
        pool.spare = surplus.all_next;
        --pool.spare_count;
        unmap(surplus);
    }
}

// Returns storage for a slab: a spare, or newly mapped. Of a spare only `touched` is kept.
slab& obtain(frame_pool& pool, bool huge) {
    if (pool.spare != nullptr) {
        slab& spare = whole(*pool.spare);
        pool.spare = spare.all_next;
        --pool.spare_count;
        char* const touched = std::max(spare.next, spare.touched);
        auto& s = *::new (static_cast<void*>(&spare)) slab;
        s.touched = touched;
        return s;
    }
    void* const room = map_aligned();
    // Before the first touch, which decides how the region is filled. As measured, 2 MiB cost 240
    // us as one huge page and 1500 us as small pages; returning them cost 10 us against 140 us.
    timespec before{}, after{};
    if (huge) {
        ::madvise(room, frame_slab_size, MADV_HUGEPAGE);
        ::clock_gettime(CLOCK_MONOTONIC, &before);
    }
    auto& s = *::new (room) slab;
    s.touched = s.base();
    if (huge) {
        ::clock_gettime(CLOCK_MONOTONIC, &after);
        const long seconds = after.tv_sec - before.tv_sec;
        const long took = seconds * 1'000'000'000 + after.tv_nsec - before.tv_nsec;
        if (took > 1'000'000) pool.huge_from = pool.slab_count * 2;
    }
    return s;
}

// A thread that has 16 slabs gets huge pages for a size that has filled one. They are filled six
// times as fast, and the unused part of the last one no longer matters. The first slab of a size
// has small pages: a program with frames of 30 sizes needs few frames of most. If filling a huge
// page takes more than a millisecond (memory is fragmented, or a virtual machine does not have it
// yet), small pages are faster. Then huge pages are tried again when the thread has twice as many
// slabs.
slab& new_slab(frame_pool& pool, std::size_t frame_size, bool is_first) {
    const std::size_t huge_from = std::max<std::size_t>(16, pool.huge_from);
    slab& s = obtain(pool, !is_first && pool.slab_count >= huge_from);
    s.frame_size = frame_size;
    s.end = s.base() + frame_slab_size - frame_size + 1;
    s.newer = s.older = &s;
    start_over(s);
    __atomic_store_n(&s.home, &pool, __ATOMIC_RELAXED);
    set_owner(s, &pool);
    enlist(pool, s);
    return s;
}

// Puts one page of frames onto the free list, in ascending order. So only memory that is about to
// be used is touched.
void carve(slab& s) noexcept {
    const auto at = reinterpret_cast<std::uintptr_t>(s.next);
    char* const page_end = s.next + (page_size - at % page_size);
    char* const stop = std::min(page_end, s.end);
    s.free = s.next;
    char* frame = s.next;
    for (; frame + s.frame_size < stop; frame += s.frame_size)
        *reinterpret_cast<void**>(frame) = frame + s.frame_size;
    *reinterpret_cast<void**>(frame) = nullptr;
    s.next = frame + s.frame_size;
    s.home->written_most += page_size;
    if (s.biased && s.next > s.base() + biased_max) unbias(s);
}

// The current slab is empty and no longer biased: much of it was carved.
void current_emptied(slab& s) noexcept {
    s.touched = std::max(s.touched, s.next);
    start_over(s);
    const std::int64_t now = now_ms();
    if (now - s.released_at < 100) return;
    s.released_at = now;
    char* const keep = s.base() + 16 * page_size;
    if (s.touched <= keep) return;
    ::madvise(keep, static_cast<std::size_t>(s.base() + frame_slab_size - keep), MADV_DONTNEED);
    s.touched = keep;
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
