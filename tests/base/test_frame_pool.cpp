// SPDX-License-Identifier: MIT
// The frame pool: frames do not overlap, are reused wherever they were freed, and are returned to
// the system. Under a sanitizer all frames come from malloc, and the cases about slabs are skipped.
#include <rondo/detail/base/frame_pool.hpp>

#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <random>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "support/catch.hpp"

using rondo::detail::frame_allocate;
using rondo::detail::frame_free;
using rondo::detail::live_frames;
using rondo::detail::release_unused_frames;

namespace {

bool pooled() {
    frame_free(frame_allocate(64), 64);
    return rondo::detail::this_thread_frames.limit != 0;
}

// Resident and mapped memory of this process, in KiB.
struct memory {
    long mapped = 0;
    long resident = 0;
};
memory memory_now() {
    memory pages;
    std::FILE* file = std::fopen("/proc/self/statm", "r");
    if (file == nullptr || std::fscanf(file, "%ld %ld", &pages.mapped, &pages.resident) != 2)
        std::abort();  // not REQUIRE, since this is also called on other threads
    std::fclose(file);
    const long page_kib = ::sysconf(_SC_PAGESIZE) / 1024;
    return {pages.mapped * page_kib, pages.resident * page_kib};
}

template <class Fn>
void on_thread(Fn fn) {
    std::thread thread(fn);
    thread.join();
}

// A frame filled with a mark. When it is freed, every byte must still have the mark.
struct marked {
    unsigned char* frame;
    std::size_t size;
    unsigned char mark;

    marked(std::size_t bytes, unsigned m)
        : frame(static_cast<unsigned char*>(frame_allocate(bytes))),
          size(bytes),
          mark(static_cast<unsigned char>(m)) {
        std::memset(frame, mark, size);
    }
    bool intact() const {
        return std::all_of(frame, frame + size, [this](unsigned char c) { return c == mark; });
    }
    bool free() {
        const bool was_intact = intact();
        frame_free(frame, size);
        return was_intact;
    }
};

}  // namespace

TEST_CASE("frame_pool: frames are aligned, do not overlap and keep what is written",
          "[frame_pool]") {
    const auto seed = std::random_device()();
    CAPTURE(seed);
    std::mt19937 random(seed);
    const std::size_t before = live_frames();
    std::vector<marked> frames;
    bool intact = true;
    bool aligned = true;
    for (int i = 0; i < 200'000; ++i) {
        if (frames.size() < 5000 && random() % 100 < 52) {
            frames.emplace_back(1 + random() % (random() % 8 == 0 ? 3000 : 600), random());
            aligned &= reinterpret_cast<std::uintptr_t>(frames.back().frame) % 16 == 0;
        } else if (!frames.empty()) {
            std::swap(frames[random() % frames.size()], frames.back());
            intact &= frames.back().free();
            frames.pop_back();
        }
    }
    CHECK(live_frames() - before == frames.size());
    for (marked& each : frames) intact &= each.free();
    CHECK(aligned);
    CHECK(intact);
    CHECK(live_frames() == before);
}

TEST_CASE("frame_pool: the frame freed last is allocated next", "[frame_pool]") {
    if (!pooled()) SKIP("frames come from malloc under a sanitizer");
    for (std::size_t size : std::vector<std::size_t>{1, 16, 240, 1024}) {
        void* const first = frame_allocate(size);
        frame_free(first, size);
        void* const second = frame_allocate(size);
        CHECK(first == second);
        frame_free(second, size);
    }
}

TEST_CASE("frame_pool: sizes that share a class share its frames, others do not", "[frame_pool]") {
    if (!pooled()) SKIP("frames come from malloc under a sanitizer");
    void* const first = frame_allocate(225);
    frame_free(first, 225);
    void* const same_class = frame_allocate(240);
    CHECK(first == same_class);
    void* const next_class = frame_allocate(241);
    frame_free(same_class, 240);
    void* const other = frame_allocate(241);
    CHECK(other != first);
    frame_free(other, 241);
    frame_free(next_class, 241);
}

TEST_CASE("frame_pool: many slabs of one size, freed in any order, allocate each frame once",
          "[frame_pool]") {
    const auto seed = std::random_device()();
    CAPTURE(seed);
    std::mt19937 random(seed);
    const std::size_t before = live_frames();
    std::vector<void*> frames(10'000);  // five slabs
    std::set<void*> distinct;
    bool unique = true;
    for (void*& each : frames) unique &= distinct.insert(each = frame_allocate(1024)).second;
    for (int round = 0; round < 10; ++round) {
        std::shuffle(frames.begin(), frames.end(), random);
        for (std::size_t i = 0; i < 3000; ++i) {
            distinct.erase(frames[i]);
            frame_free(frames[i], 1024);
        }
        for (std::size_t i = 0; i < 3000; ++i)
            unique &= distinct.insert(frames[i] = frame_allocate(1024)).second;
    }
    CHECK(unique);
    CHECK(live_frames() - before == frames.size());
    for (void* each : frames) frame_free(each, 1024);
    CHECK(live_frames() == before);
}

TEST_CASE("frame_pool: a frame freed on another thread returns to the thread that made it",
          "[frame_pool]") {
    if (!pooled()) SKIP("frames come from malloc under a sanitizer");
    constexpr std::size_t size = 352;
    const std::size_t before = live_frames();
    std::vector<void*> frames(20'000);  // more than three slabs: some full, one current
    for (void*& each : frames) each = frame_allocate(size);
    CHECK(live_frames() - before == frames.size());
    on_thread([&] {
        for (void* each : frames) frame_free(each, size);
    });
    CHECK(live_frames() == before);

    const memory start = memory_now();
    for (int round = 0; round < 20; ++round) {
        for (void*& each : frames) each = frame_allocate(size);
        on_thread([&] {
            for (void* each : frames) frame_free(each, size);
        });
    }
    CHECK(live_frames() == before);
    CHECK(memory_now().mapped - start.mapped < 40'000);  // without reuse: 20 rounds of 7 MiB
}

TEST_CASE("frame_pool: frames of a full slab that another thread freed are reused",
          "[frame_pool]") {
    if (!pooled()) SKIP("frames come from malloc under a sanitizer");
    constexpr std::size_t size = 368;
    std::vector<void*> frames(20'000);  // three full slabs and a current one
    std::set<void*> freed;
    for (void*& each : frames) each = frame_allocate(size);
    on_thread([&] {
        for (std::size_t i = 0; i < frames.size(); i += 2) {
            frame_free(frames[i], size);
            freed.insert(frames[i]);
        }
    });
    std::size_t reused = 0;
    for (std::size_t i = 0; i < frames.size(); i += 2)
        reused += freed.count(frames[i] = frame_allocate(size));
    CHECK(reused > 4000);  // the free frames of the current slab come first
    for (void* each : frames) frame_free(each, size);
}

TEST_CASE("frame_pool: frames outlive the thread that made them", "[frame_pool]") {
    release_unused_frames();
    const bool slabs = pooled();
    std::vector<marked> frames;
    // One thread before, so that the permanent cost of a first thread is not counted.
    on_thread([] { frame_free(frame_allocate(100), 100); });
    const memory before = memory_now();
    on_thread([&] {
        for (unsigned i = 0; i < 100'000; ++i) frames.emplace_back(16 + i % 500, i);
    });
    bool intact = true;
    for (std::size_t i = 0; i < frames.size() / 2; ++i) intact &= frames[i].free();
    on_thread([&] {
        for (std::size_t i = frames.size() / 2; i < frames.size(); ++i) intact &= frames[i].free();
    });
    CHECK(intact);
    const std::size_t kept = frames.capacity() * sizeof(marked) / 1024;
    if (slabs) CHECK(memory_now().mapped - before.mapped < static_cast<long>(kept) + 4096);
}

TEST_CASE("frame_pool: a thread that ends returns its slabs", "[frame_pool]") {
    if (!pooled()) SKIP("frames come from malloc under a sanitizer");
    const auto some_work = [] {
        std::vector<void*> frames(30'000);
        for (void*& each : frames) each = frame_allocate(200);
        for (void* each : frames) frame_free(each, 200);
    };
    on_thread(some_work);
    const memory before = memory_now();
    for (int i = 0; i < 50; ++i) on_thread(some_work);
    CHECK(memory_now().mapped - before.mapped < 16 * 1024);
}

namespace {

#if defined(__SANITIZE_THREAD__)
constexpr bool thread_sanitized = true;
#elif defined(__has_feature)
constexpr bool thread_sanitized = __has_feature(thread_sanitizer) != 0;
#else
constexpr bool thread_sanitized = false;
#endif

pthread_key_t late_key;

// Runs after the pool's destructor for the thread, or before it. Frames work in both cases.
void late_frames(void* rounds_left) {
    std::vector<marked> frames;
    for (unsigned i = 0; i < 5000; ++i) frames.emplace_back(300, i);
    for (marked& each : frames)
        if (!each.free()) std::abort();
    auto& left = *static_cast<int*>(rounds_left);
    if (--left > 0) ::pthread_setspecific(late_key, rounds_left);
}

struct late_local {
    marked frame{48, 7};
    ~late_local() {
        marked another(48, 8);
        if (!frame.free() || !another.free()) std::abort();
    }
};

}  // namespace

TEST_CASE("frame_pool: destructors of thread locals make and free frames, even the last ones",
          "[frame_pool]") {
    REQUIRE(::pthread_key_create(&late_key, late_frames) == 0);
    // In the fourth and last round the thread sanitizer ends its own record of the thread.
    int rounds_left = thread_sanitized ? 2 : 3;
    on_thread([&] {
        thread_local late_local local;
        frame_free(frame_allocate(local.frame.size), 48);
        ::pthread_setspecific(late_key, &rounds_left);
    });
    CHECK(rounds_left == 0);
    ::pthread_key_delete(late_key);
}

TEST_CASE("frame_pool: a million frames are returned to the system", "[frame_pool]") {
    if (!pooled()) SKIP("frames come from malloc under a sanitizer");
    std::vector<void*> frames(1'000'000, &late_key);  // resident before the count begins
    const memory before = memory_now();
    for (void*& each : frames) each = std::memset(frame_allocate(240), 1, 240);
    CHECK(memory_now().resident - before.resident > 200 * 1024);
    for (void* each : frames) frame_free(each, 240);
    CHECK(memory_now().resident - before.resident < 6 * 1024);  // one current slab, one spare
    release_unused_frames();
    CHECK(memory_now().resident - before.resident < 2 * 1024);
}

TEST_CASE("frame_pool: slabs that were hardly written to may stay", "[frame_pool]") {
    if (!pooled()) SKIP("frames come from malloc under a sanitizer");
    on_thread([&] {
        constexpr std::size_t slab = rondo::detail::frame_slab_size;
        for (std::size_t size = 16; size <= 512; size += 16)
            frame_free(frame_allocate(size), size);
        const long mapped = memory_now().mapped;
        release_unused_frames(slab);
        CHECK(mapped - memory_now().mapped < 1024);
        std::vector<void*> frames(slab / 512);
        for (void*& each : frames) each = frame_allocate(512);
        for (void* each : frames) frame_free(each, 512);
        release_unused_frames(slab);
        CHECK(mapped - memory_now().mapped > 20 * long{slab / 1024});
    });
}

TEST_CASE("frame_pool: a thread with frames of every size takes little memory", "[frame_pool]") {
    if (!pooled()) SKIP("frames come from malloc under a sanitizer");
    memory before;
    memory after;
    on_thread([&] {
        before = memory_now();
        for (std::size_t size = 16; size <= rondo::detail::frame_size_max; size += 16)
            frame_free(frame_allocate(size), size);
        after = memory_now();
    });
    CHECK(after.resident - before.resident < 1024);  // a page or two of each slab, no huge pages
}

TEST_CASE("frame_pool: a current slab that becomes empty after heavy use returns its pages",
          "[frame_pool]") {
    if (!pooled()) SKIP("frames come from malloc under a sanitizer");
    memory before;
    memory filled;
    memory after;
    on_thread([&] {  // a pool of its own, which has not returned pages recently
        std::vector<void*> frames(1900, nullptr);
        before = memory_now();
        for (void*& each : frames) each = std::memset(frame_allocate(1000), 1, 1000);
        filled = memory_now();
        for (void* each : frames) frame_free(each, 1000);
        after = memory_now();
    });
    CHECK(filled.resident - before.resident > 1700);
    CHECK(after.resident - before.resident < 300);
}

TEST_CASE("frame_pool: releasing keeps slabs with live frames", "[frame_pool]") {
    bool intact = true;
    bool reused = true;
    const bool slabs = pooled();
    on_thread([&] {  // a pool of its own: it fills one slab before it makes a second
        std::vector<marked> frames;
        for (unsigned i = 0; i < 20'000; ++i) frames.emplace_back(500, i);
        const auto slab_of = [](const marked& m) {
            return reinterpret_cast<std::uintptr_t>(m.frame) / rondo::detail::frame_slab_size;
        };
        const std::uintptr_t first = slab_of(frames.front());
        while (slabs ? slab_of(frames.back()) != first : frames.size() > 4000) {
            intact &= frames.back().free();
            frames.pop_back();
        }
        release_unused_frames();  // unmaps the empty current slab, so only a full one is left,
        unsigned char* const frame = frames.back().frame;
        intact &= frames.back().free();
        frames.back() = marked(500, 0);  // which becomes current when it has a free frame
        reused = frames.back().frame == frame;
        for (marked& each : frames) intact &= each.free();
        release_unused_frames();
        marked again(500, 1);
        intact &= again.free();
    });
    CHECK(intact);
    if (slabs) CHECK(reused);
}

TEST_CASE("frame_pool: a frame counts for the thread that made it, wherever it is freed",
          "[frame_pool]") {
    for (const std::size_t size : {std::size_t{200}, std::size_t{5'000}}) {
        const std::size_t before = live_frames();
        void* const ours = frame_allocate(size);
        void* theirs = nullptr;
        void* left = nullptr;
        std::size_t there = 9;
        std::thread other([&] {
            theirs = frame_allocate(size);
            left = frame_allocate(size);
            frame_free(ours, size);
            there = live_frames();
        });
        other.join();
        CHECK(there == 2);
        CHECK(live_frames() == before);
        frame_free(theirs, size);
        frame_free(left, size);  // its thread has ended
        CHECK(live_frames() == before);
    }
}

TEST_CASE("frame_pool: eight threads free each other's frames", "[frame_pool][stress]") {
    const auto seed = std::random_device()();
    CAPTURE(seed);
    std::mutex lock;
    std::vector<marked> mailbox;
    std::vector<int> broken(8, 0);
    const auto work = [&](unsigned index) {
        std::mt19937 random(seed + index);
        std::vector<marked> mine;
        for (int i = 0; i < 30'000; ++i) {
            const auto what = random() % 10;
            if (what < 5) {
                mine.emplace_back(1 + random() % 1100, random());
            } else if (what < 8 && !mine.empty()) {
                std::swap(mine[random() % mine.size()], mine.back());
                broken[index] += !mine.back().free();
                mine.pop_back();
            } else if (!mine.empty()) {
                std::unique_lock guard(lock);
                mailbox.push_back(mine.back());
                mine.pop_back();
                if (mailbox.size() < 100) continue;
                std::swap(mailbox[random() % mailbox.size()], mailbox.back());
                mine.push_back(mailbox.back());
                mailbox.pop_back();
            }
        }
        std::unique_lock guard(lock);
        mailbox.insert(mailbox.end(), mine.begin(), mine.end());
    };
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < 8; ++i) threads.emplace_back(work, i);
    for (std::thread& each : threads) each.join();
    for (marked& each : mailbox) broken[0] += !each.free();
    CHECK(std::count(broken.begin(), broken.end(), 0) == 8);
}
