// SPDX-License-Identifier: MIT
// Counts every operator new and delete of the program that includes this in one of its files, so
// that a test can check that nothing was allocated, or that everything was freed. Under a
// sanitizer, which has its own operator new, nothing is counted.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>

namespace rondo_tests {
inline std::atomic<std::size_t> allocations{0};
inline std::atomic<std::size_t> frees{0};
/// Number of blocks that were allocated and not freed.
inline std::size_t live_blocks() { return allocations.load() - frees.load(); }
}  // namespace rondo_tests

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define RONDO_THREAD_SANITIZED
#endif
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define RONDO_SANITIZED
#endif
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define RONDO_SANITIZED
#endif
#ifdef __SANITIZE_THREAD__
#define RONDO_THREAD_SANITIZED
#endif

#ifndef RONDO_SANITIZED
// g++ 12 at -O1 inlines one of the two without the other, and warns of a mismatch.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
#endif
void* operator new(std::size_t size) {
    rondo_tests::allocations.fetch_add(1, std::memory_order_relaxed);
    if (void* memory = std::malloc(size)) return memory;
    throw std::bad_alloc();
}
void operator delete(void* memory) noexcept {
    if (memory != nullptr) rondo_tests::frees.fetch_add(1, std::memory_order_relaxed);
    std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept { operator delete(memory); }
#endif
