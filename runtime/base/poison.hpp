// SPDX-License-Identifier: MIT
// What the address sanitizer is told of memory that is there and is nobody's: asked for at run time,
// so that the library is one and the same for programs with it and without it.
#pragma once

#include <cstddef>

extern "C" {
[[gnu::weak]] void __asan_poison_memory_region(void const volatile* begin, std::size_t size);
[[gnu::weak]] void __asan_unpoison_memory_region(void const volatile* begin, std::size_t size);
}

namespace rondo {
inline namespace v0 {
namespace detail {

/// Whoever touches it from now on is reported.
inline void forbid(const void* begin, std::size_t size) noexcept {
    if (__asan_poison_memory_region != nullptr) __asan_poison_memory_region(begin, size);
}
inline void allow(const void* begin, std::size_t size) noexcept {
    if (__asan_unpoison_memory_region != nullptr) __asan_unpoison_memory_region(begin, size);
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
