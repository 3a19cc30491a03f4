// SPDX-License-Identifier: MIT
// Poisoning memory for AddressSanitizer. Its functions are looked up at run time, so that one build
// of the library serves programs with and without the sanitizer.
#pragma once

#include <cstddef>

extern "C" {
[[gnu::weak]] void __asan_poison_memory_region(void const volatile* begin, std::size_t size);
[[gnu::weak]] void __asan_unpoison_memory_region(void const volatile* begin, std::size_t size);
}

namespace rondo {
inline namespace v0 {
namespace detail {

/// Makes every later access to the memory an error report.
inline void forbid(const void* begin, std::size_t size) noexcept {
    if (__asan_poison_memory_region != nullptr) __asan_poison_memory_region(begin, size);
}
/// Allows access to the memory again.
inline void allow(const void* begin, std::size_t size) noexcept {
    if (__asan_unpoison_memory_region != nullptr) __asan_unpoison_memory_region(begin, size);
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
