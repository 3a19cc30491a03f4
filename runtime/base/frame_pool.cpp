// SPDX-License-Identifier: MIT
// The rarer paths of the frame pool: see the header for the idea.
//
// A slab is in one of these states, and only its owner's thread moves it:
//   current   allocations of its size come from it;
//   partial   was full once and has free frames again: in a ring through the current slab of its
//             size, oldest first, since that one has had the longest time to gather more;
//   full      every frame is out. `owner` is null although `home` is not, so the first free comes
//             here and makes it partial: the inline path needs no test for it;
//   spare     empty and of no size;
//   orphaned  its thread has ended. `home` is null; the last free, by whichever thread, unmaps it.
//
// Memory is returned: a partial slab that goes empty is unmapped, but for a few spares. The current
// slab of a size holds one use of itself (`biased`), so that making and destroying one frame does
// not end here each time; it lets go of it once more than 256 KiB are carved, and when it is then
// found empty it starts over from its beginning, and the pages behind are given back, at most ten
// times a second: a loop over a large batch must not fault them in each time.
//
// Frames freed by other threads are rare (a task stays on its thread), so one lock for all of them
// is enough. A frame from malloc is counted on the thread that made it, wherever it is freed.
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

// There is a runtime of a sanitizer in the process if, and only if, something in it is sanitized:
// this library, or the program alone.
extern "C" {
[[gnu::weak]] void __asan_init();
[[gnu::weak]] void __tsan_init();
[[gnu::weak]] void __msan_init();
}

namespace rondo {
inline namespace v0 {
namespace detail {

constinit thread_local frame_pool this_thread_frames = {};

/// Frames from malloc that a thread has made. It outlives the thread by as long as one of them lives.
struct plain_frames {
    static constexpr std::int64_t of_a_thread = std::int64_t{1} << 62;
    /// While the thread lives: that, less those that were freed on other threads. Later: those that are left.
    std::atomic<std::int64_t> left{of_a_thread};
};

namespace {

/// Stands before a frame from malloc.
struct alignas(16) plain_head {
    plain_frames* frames;
};

constexpr std::size_t page_size = 4096;
constexpr std::size_t quiet_size = 256 * 1024;  // who carved no more never gives pages back

struct alignas(64) slab : frame_slab {
    frame_pool* home = nullptr;  // whose it is, full or not; read by other threads under the lock
    std::size_t frame_size = 0;
    char* next = nullptr;     // carved up to here
    char* end = nullptr;      // the last frame begins before this
    char* touched = nullptr;  // the most that was carved since its pages were last given back
    bool biased = false;
    std::int64_t released_at = 0;

    slab* newer = nullptr;  // the ring of a size's partial slabs
    slab* older = nullptr;
    slab* all_next = nullptr;  // every slab of the pool; for spares the next spare
    slab* all_previous = nullptr;

    void* remote_first = nullptr;  // frames freed by other threads, under the lock
    void* remote_last = nullptr;
    std::size_t remote_count = 0;
    slab* remote_next = nullptr;  // the owner's list of slabs that have some

    char* base() noexcept { return reinterpret_cast<char*>(this); }
    char* first() noexcept { return base() + sizeof(slab); }
};
static_assert(sizeof(slab) % frame_size_step == 0);

constinit slab nothing;  // the current slab of a size that has none: never has a free frame
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

// Kernels since 6.7 align a mapping of this size by themselves; else twice as much is asked for and
// the ends cut off.
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
    char* const behind = aligned + frame_slab_size;
    const auto rest = static_cast<std::size_t>(begin + 2 * frame_slab_size - behind);
    if (rest != 0) ::munmap(behind, rest);
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

// As the newest of the ring that `current` heads.
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

// -- a slab's life --------------------------------------------------------------------------------

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

// An empty slab, unlinked already: kept while spares are few beside what is in use, so that a load
// that swings around a slab's end maps nothing.
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

// Storage for a slab: a spare's, or newly mapped. What is kept of a spare is what has been touched.
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
    // Before the first touch, which decides how the region is filled. On the platform that this was
    // measured on 2 MiB cost 240 us in one piece and 1500 us in pages, and giving them back 10 us
    // against 140 us.
    timespec before{}, after{};
    if (huge) {
        ::madvise(room, frame_slab_size, MADV_HUGEPAGE);
        ::clock_gettime(CLOCK_MONOTONIC, &before);
    }
    auto& s = *::new (room) slab;
    s.touched = s.base();
    if (huge) {
        ::clock_gettime(CLOCK_MONOTONIC, &after);
        const long took = (after.tv_sec - before.tv_sec) * 1'000'000'000 + after.tv_nsec - before.tv_nsec;
        if (took > 1'000'000) pool.huge_from = pool.slab_count * 2;
    }
    return s;
}

// Who has filled 32 MiB gets huge pages from there on: they are filled six times as fast, and the
// part of the last one that is not used does not count any more. Where filling one took long,
// because memory is scattered or, in a virtual machine, not there yet, pages are had sooner: then
// they are tried again when there are twice as many slabs.
slab& new_slab(frame_pool& pool, std::size_t frame_size) {
    slab& s = obtain(pool, pool.slab_count >= std::max<std::size_t>(16, pool.huge_from));
    s.frame_size = frame_size;
    s.end = s.base() + frame_slab_size - frame_size + 1;
    s.newer = s.older = &s;
    start_over(s);
    __atomic_store_n(&s.home, &pool, __ATOMIC_RELAXED);
    set_owner(s, &pool);
    enlist(pool, s);
    return s;
}

// One page's worth of frames onto the free list, in ascending order: touching no more memory than
// is about to be used.
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
    if (s.biased && s.next > s.base() + quiet_size) unbias(s);
}

// The current slab is found empty with much carved.
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

// A full slab has got a free frame again.
void reopen(frame_pool& pool, slab& s) noexcept {
    set_owner(s, &pool);
    frame_slab*& current = current_of(pool, s.frame_size);
    if (current != &nothing) return ring_insert(whole(*current), s);
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

// Takes in what other threads have freed of one slab; true if it had been full. Under the lock.
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

// Frames kept at hand go back to their slabs.
void uncache(frame_pool& pool) noexcept {
    for (void*& cached : pool.cached)
        if (cached != nullptr) free_to_slab(pool, std::exchange(cached, nullptr));
}

// -- a thread's beginning and end -----------------------------------------------------------------

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
    if (frames != nullptr && frames->left.fetch_sub(rest, std::memory_order_acq_rel) == rest) delete frames;
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

// A pthread key and no thread_local destructor: it runs after all of those, and again if a later
// one of its kind makes another frame, which starts the pool anew. The main thread's slabs go with
// the process.
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
    std::fill(std::begin(pool.current), std::end(pool.current), &nothing);
    pool.limit = frame_size_max;
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

// The current slab is used up: the oldest partial one takes its place, or a new one.
slab& replace_current(frame_pool& pool, slab& current, std::size_t size) {
    const bool none = &current == &nothing;
    slab* next = none ? nullptr : current.newer;
    if (next == nullptr || next == &current) {
        next = &new_slab(pool, (size + frame_size_step - 1) & ~(frame_size_step - 1));
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
        plain -= plain_frames::of_a_thread - pool.plain_elsewhere->left.load(std::memory_order_acquire);
    auto count = static_cast<std::size_t>(plain);
    for (auto* s = static_cast<slab*>(pool.slabs); s != nullptr; s = s->all_next)
        count += s->used - (s->biased ? 1 : 0);
    return count;
}

void release_unused_frames(std::size_t may_stay) noexcept {
    frame_pool& pool = this_thread_frames;
    if (pool.slab_count + pool.spare_count <= may_stay) return;
    uncache(pool);
    collect(pool);
    for (frame_slab*& current : pool.current) {
        if (current == nullptr || current == &nothing) continue;
        slab& s = whole(*current);
        if (!s.biased || s.used != 1) continue;
        if (s.newer != &s) {
            current = s.newer;
            ring_remove(s);
        } else {
            current = &nothing;
        }
        delist(pool, s);
        unmap(s);
    }
    unmap_spares(pool);
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
