// SPDX-License-Identifier: MIT
// For ThreadSanitizer, which does not see the order that the operating system guarantees: what was
// written before a submission or a wake is visible after the next turn of the kernel.
#pragma once

#include <rondo/config.hpp>

#if defined(__SANITIZE_THREAD__)
#define RONDO_THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define RONDO_THREAD_SANITIZER 1
#endif
#endif
#ifdef RONDO_THREAD_SANITIZER
#include <sanitizer/tsan_interface.h>
#endif

namespace rondo {
inline namespace v0 {
namespace detail {

class turn_order {
public:
    void release() noexcept {
#ifdef RONDO_THREAD_SANITIZER
        __tsan_release(&address_);
#endif
    }
    void acquire() noexcept {
#ifdef RONDO_THREAD_SANITIZER
        __tsan_acquire(&address_);
#endif
    }

private:
    [[maybe_unused]] char address_ = 0;
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
