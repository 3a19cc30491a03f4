// SPDX-License-Identifier: MIT
// Assertions that stay on in release builds: a bug in the program (or in rondo) ends it at once,
// with a sentence that names the mistake. <cassert> is not used, since NDEBUG would disable it and
// its text is an expression.
#pragma once

#include <limits>

#include <rondo/config.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

/// Writes "rondo: SENTENCE" to standard error, in one write, and aborts.
[[noreturn, gnu::cold]] RONDO_API void fail(const char* sentence) noexcept;

}  // namespace detail
}  // namespace v0
}  // namespace rondo

/// Aborts with `sentence` unless `condition` holds. It is evaluated in every build, so keep the
/// condition cheap.
#define RONDO_ASSERT(condition, sentence) \
    (__builtin_expect(static_cast<bool>(condition), 1) ? void() : ::rondo::detail::fail(sentence))

namespace rondo {
inline namespace v0 {
namespace detail {

/// Whether `number` is a plausible count. A larger one was converted from a negative number.
template <class Unsigned>
constexpr bool is_count(Unsigned number) noexcept {
    return number <= std::numeric_limits<Unsigned>::max() / 2;
}

/// Returns `pointer` if it is not null. Otherwise aborts with a sentence, instead of a segmentation
/// fault later.
template <class Pointer>
Pointer& not_empty(Pointer& pointer) noexcept {
    RONDO_ASSERT(pointer != nullptr,
                 "this object is empty: it was moved from; it can only be assigned or destroyed");
    return pointer;
}

/// The pointer of a movable handle. Dereferencing and copying it check that it is not null.
template <class Pointer>
class handle_pointer {
public:
    handle_pointer() noexcept = default;
    handle_pointer(Pointer pointer) noexcept : pointer_(static_cast<Pointer&&>(pointer)) {}

    explicit operator bool() const noexcept { return get() != nullptr; }
    bool operator==(const handle_pointer&) const noexcept = default;
    /// Returns: the pointer, unchecked; null in an empty handle.
    auto* get() const noexcept { return pointer_.get(); }
    auto& operator*() const noexcept { return *not_empty(pointer_); }
    auto* operator->() const noexcept { return not_empty(pointer_).get(); }
    operator const Pointer&() const noexcept { return not_empty(pointer_); }

private:
    Pointer pointer_;
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
