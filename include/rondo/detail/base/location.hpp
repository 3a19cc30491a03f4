// SPDX-License-Identifier: MIT
// A place in the source. clang 14 lacks std::source_location but has the builtins. As default
// arguments they give the place of the call, also through this type's own `current()`.
#pragma once

#include <rondo/config.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

struct location {
    const char* file;
    const char* function;
    unsigned line;

    static constexpr location current(const char* file = __builtin_FILE(),
                                      const char* function = __builtin_FUNCTION(),
                                      unsigned line = __builtin_LINE()) noexcept {
        return {file, function, line};
    }
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
