// SPDX-License-Identifier: MIT
// Exceptions as bytes, to throw a job's exception in the parent. The types of the standard library
// and of rondo that consist of their text keep their type. Any other becomes a remote_error, which
// has the type's name.
#pragma once

#include <exception>
#include <string>
#include <string_view>

#include <rondo/process_pool.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

/// Packs the exception that is being handled.
std::string pack_current_exception();
std::string pack_exception(const std::exception& error);
/// Throws: frame_error.
std::exception_ptr unpack_exception(std::string_view bytes);

}  // namespace detail
}  // namespace v0
}  // namespace rondo
