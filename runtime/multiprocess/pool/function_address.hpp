// SPDX-License-Identifier: MIT
// A function's address in a form that is valid in every process with its module loaded: the module
// and the offset in it. An address itself is not valid elsewhere: each process maps its modules at
// random addresses.
//
// The build-id identifies a module: a note that the linker writes (--build-id, which Debian's and
// most other compilers pass). A module without one is identified by a hash of its mapped code,
// since position-independent code is the same in every process. Its file would not do: that may
// have been replaced since it was loaded.
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
    std::string module;        // 'b' and a build-id, or 'h' and a hash
    std::uint64_t offset = 0;  // from the module's base address

    friend bool operator==(const function_address&, const function_address&) = default;
};

/// The module and offset of `fn`.
/// Throws: error if it is in no module, like code that was generated at run time.
/// Thread: any.
function_address address_of(any_function fn);

/// The path of the module that has `fn`, for messages.
std::string path_of_module(any_function fn);

/// The module is not loaded in this process.
class missing_module_error : public error {
public:
    using error::error;
    ~missing_module_error() override;
};

/// The address of that function in this process.
/// Throws: missing_module_error; error if the offset is not in the module's code.
/// Thread: any.
any_function function_at(std::string_view module, std::uint64_t offset);

}  // namespace detail
}  // namespace v0
}  // namespace rondo
