// SPDX-License-Identifier: MIT
// Assertions that stay on in release builds: a bug in the program (or in rondo) ends it at once,
// with a sentence that says what was done wrong. <cassert> is not used, since NDEBUG would silence
// it and its text is an expression.
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

/// Aborts with `sentence` unless `condition` holds. Evaluated in every build, so keep the condition
/// cheap.
#define RONDO_ASSERT(condition, sentence) \
    (__builtin_expect(static_cast<bool>(condition), 1) ? void() : ::rondo::detail::fail(sentence))

namespace rondo {
inline namespace v0 {
namespace detail {

/// A number of things. What is larger was made of a negative number, or no machine has so many.
template <class Unsigned>
constexpr bool is_count(Unsigned number) noexcept {
    return number <= std::numeric_limits<Unsigned>::max() / 2;
}

/// What a movable handle points to, on its way to a use of it: not null, or a sentence instead of a segmentation fault.
template <class Pointer>
Pointer& not_empty(Pointer& pointer) noexcept {
    RONDO_ASSERT(pointer != nullptr, "this object is empty: it was moved from; it can only be assigned to or destroyed");
    return pointer;
}

/// The pointer of a movable handle. To follow it, or to pass it on, is a use.
template <class Pointer>
class handle_pointer {
public:
    handle_pointer() noexcept = default;
    handle_pointer(Pointer pointer) noexcept : pointer_(static_cast<Pointer&&>(pointer)) {}

    explicit operator bool() const noexcept { return get() != nullptr; }
    bool operator==(const handle_pointer&) const noexcept = default;
    /// Null in an empty handle.
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
