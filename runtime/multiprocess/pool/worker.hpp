// SPDX-License-Identifier: MIT
// The functions of a process_pool that run in a worker process.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "multiprocess/pool/frame.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

/// True if this process has called process_worker; only then may it make a process_pool.
bool process_worker_was_called() noexcept;

struct worker_answer {
    frame_kind kind;
    std::string body;
};

/// Makes the call in the body of a frame and returns the answer: a value, or `missing`.
/// Throws: the function's exception; frame_error; limit_error for a result of more bytes.
worker_answer make_call_or_throw(std::string_view body, std::size_t result_max);
/// Makes the call in the body of a frame and returns the answer. An error is an answer too.
worker_answer make_call(std::string_view body, std::size_t result_max) noexcept;

}  // namespace detail
}  // namespace v0
}  // namespace rondo
