// SPDX-License-Identifier: MIT
// The worker's side of a process_pool.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "multiprocess/pool/frame.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

/// In this process: only then may it have a pool.
bool process_worker_was_called() noexcept;

struct worker_answer {
    frame_kind kind;
    std::string body;
};

/// Makes the call that is in the body of a frame, and says what is to be answered. What is wrong with it is the answer
/// too.
worker_answer make_call(std::string_view body, std::size_t result_max) noexcept;

}  // namespace detail
}  // namespace v0
}  // namespace rondo
