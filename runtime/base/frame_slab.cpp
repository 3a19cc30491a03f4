// SPDX-License-Identifier: MIT
// Slabs: where their memory comes from, how it is carved, what becomes of an empty one.
#include "base/frame_slab.hpp"

#include <sys/mman.h>
#include <time.h>

#include <algorithm>
#include <new>

namespace rondo {
inline namespace v0 {
namespace detail {

constinit slab no_slab;

namespace {

constexpr std::size_t page_size = 4096;
constexpr std::size_t biased_max = 256 * 1024;  // a slab carved no further keeps its pages

std::int64_t now_ms() noexcept {
    timespec now;
    ::clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1'000'000;
}

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

void enlist(frame_pool& pool, slab& s) noexcept {
    s.all_previous = nullptr;
    s.all_next = static_cast<slab*>(pool.slabs);
    if (s.all_next != nullptr) s.all_next->all_previous = &s;
    pool.slabs = &s;
    ++pool.slab_count;
}

void start_over(slab& s) noexcept {
    s.free = nullptr;
    s.next = s.first();
    s.used = 1;
    s.biased = true;
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

}  // namespace

void unmap(slab& s) noexcept { ::munmap(s.base(), frame_slab_size); }

void delist(frame_pool& pool, slab& s) noexcept {
    if (s.all_previous != nullptr)
        s.all_previous->all_next = s.all_next;
    else
        pool.slabs = s.all_next;
    if (s.all_next != nullptr) s.all_next->all_previous = s.all_previous;
    --pool.slab_count;
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

}  // namespace detail
}  // namespace v0
}  // namespace rondo
