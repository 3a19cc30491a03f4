// SPDX-License-Identifier: MIT
#include <rondo/async_generator.hpp>
#include <rondo/generator.hpp>

namespace rondo {
inline namespace v0 {

void detail::throw_not_begun() {
    throw invalid_state_error(
        "send() to a generator that has not begun: call next(), which runs it to its first "
        "co_yield");
}

void detail::throw_needs_value() {
    throw invalid_state_error(
        "next() of a generator that waits for a value: call send(value), or let it receive a "
        "std::optional");
}

void detail::throw_runs_already() {
    throw invalid_state_error("a generator was resumed by its own body");
}

}  // namespace v0
}  // namespace rondo
