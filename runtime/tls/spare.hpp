// SPDX-License-Identifier: MIT
// Large buffers that the connections of the process take in turn. A connection that waits for its
// user keeps none. If each read and write had one from malloc, the heap would shrink and grow all
// the time: page faults, which took twice as long as the encryption.
#pragma once

#include <rondo/buffered.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

/// Gives `buffer`, which is empty, the memory of a spare one, if there is one and it has no large
/// memory of its own.
/// Thread: any.
void take_spare(read_buffer& buffer) noexcept;
/// Takes the memory of `buffer` away. If it is large it is kept for others, unless many are.
/// Thread: any.
void give_spare(read_buffer& buffer) noexcept;

}  // namespace detail
}  // namespace v0
}  // namespace rondo
