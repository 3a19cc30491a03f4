// SPDX-License-Identifier: MIT
// Detection of arguments that g++ 12 miscompiles. Inside a full expression that contains co_await,
// g++ 12 destroys two kinds of temporaries twice: closures with an owning capture (`[s]`,
// `[p = std::move(p)]`) and aggregates with non-trivial members. docs/gcc12.md has the cases. `[&]`
// lambdas, named objects and temporaries of classes with constructors are safe.
//
// A parameter cannot tell a temporary from `std::move(named)`, so both are refused. They are
// refused only if the call itself is awaited as a temporary: `auto job = f([s] { ... }); co_await
// job;` is two full expressions, and safe.
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

/// For a callable's deduced type (a reference if it was an lvalue): whether it may be a temporary
/// closure that owns something. A std::function counts too: such a closure may convert to one.
template <class F>
inline constexpr bool owning_closure_hazard =
    destroys_twice && std::is_class_v<F> && !std::is_trivially_copyable_v<F>;

/// For an argument's deduced type: whether it may be a temporary closure or aggregate that owns
/// something. A closure is recognised by this: it cannot be assigned.
template <class A>
inline constexpr bool owning_argument_hazard =
    owning_closure_hazard<A> && (std::is_aggregate_v<A> || !std::is_move_assignable_v<A>);

}  // namespace detail
}  // namespace v0
}  // namespace rondo
