// SPDX-License-Identifier: MIT
// What g++ 12 must not be given. Inside a full expression that contains co_await it destroys twice a temporary that is
// a closure with an owning capture (`[s]`, `[p = std::move(p)]`) or an aggregate with non-trivial members; docs/gcc12.md
// has the cases. Safe there are `[&]` lambdas, named objects, and temporaries of classes with constructors.
//
// Nothing tells a temporary from a `std::move(named)` once it is a parameter, so both are refused; refused is only what
// is awaited as a temporary itself, for `auto job = f([s] { ... }); co_await job;` is two full expressions and safe.
#pragma once

#include <type_traits>

#include <rondo/config.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 13
inline constexpr bool destroys_twice = true;
#else
inline constexpr bool destroys_twice = false;
#endif

/// For a callable's deduced type (a reference where it was an lvalue): may it be a temporary closure that owns
/// something? A std::function counts as one, since it may be made of such a closure on the spot.
template <class F>
inline constexpr bool owning_closure_hazard =
    destroys_twice && std::is_class_v<F> && !std::is_trivially_copyable_v<F>;

/// For an argument's deduced type: may it be a temporary closure or aggregate that owns something? A closure is known
/// by this: it cannot be assigned.
template <class A>
inline constexpr bool owning_argument_hazard =
    owning_closure_hazard<A> && (std::is_aggregate_v<A> || !std::is_move_assignable_v<A>);

}  // namespace detail
}  // namespace v0
}  // namespace rondo
