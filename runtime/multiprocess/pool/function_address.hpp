// SPDX-License-Identifier: MIT
// A function pointer, in words that mean the same in every process that has its module loaded:
// which module, and how far into it. Addresses themselves mean nothing elsewhere, since each
// process puts its modules where chance wants them.  A module is known by its build-id, the note
// that the linker writes (--build-id, which the compilers of Debian and of most others ask for).
// One without is known by a hash of its code as it is mapped: position-independent code is the same
// in every process. Not by its file: that may have been replaced since it was loaded.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <rondo/error.hpp>
#include <rondo/detail/multiprocess/process_job.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

struct function_address {
    std::string module;         // 'b' and a build-id, or 'h' and a hash
    std::uint64_t offset = 0;   // from where the module was put

    friend bool operator==(const function_address&, const function_address&) = default;
};

/// Where `fn` is.
/// Throws: error where it is in no module: code that was made at run time.
/// Thread: any.
function_address address_of(any_function fn);

/// The file of the module that `fn` is in; for messages.
std::string path_of_module(any_function fn);

/// What a process that lacks the module says.
class missing_module_error : public error {
public:
    using error::error;
    ~missing_module_error() override;
};

/// The function there, in this process.
/// Throws: missing_module_error; error where the offset is not in the module's code.
/// Thread: any.
any_function function_at(std::string_view module, std::uint64_t offset);

}  // namespace detail
}  // namespace v0
}  // namespace rondo
