// SPDX-License-Identifier: MIT
// Exceptions as bytes: what a job throws in a worker is thrown in the parent. The standard ones and those of rondo that
// say nothing but their text come out as the type they were; everything else as a remote_error, which names it.
#pragma once

#include <exception>
#include <string>
#include <string_view>

#include <rondo/process_pool.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

/// Of the exception that is being handled.
std::string pack_current_exception();
std::string pack_exception(const std::exception& error);
/// Throws: frame_error.
std::exception_ptr unpack_exception(std::string_view bytes);

}  // namespace detail
}  // namespace v0
}  // namespace rondo
