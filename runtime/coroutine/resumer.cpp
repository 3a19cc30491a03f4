// SPDX-License-Identifier: MIT
// The state that a thread's running coroutine and its resumer share.
#include <rondo/resumer.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

constinit thread_local thread_state here;

}  // namespace detail
}  // namespace v0
}  // namespace rondo
