// SPDX-License-Identifier: MIT
// Shared by the tests that compare the simulator with Linux: the answer of a call as a text.
#pragma once

#include <cstring>
#include <string>
#include <system_error>

#include <rondo/task.hpp>

#include "support/catch.hpp"

namespace rondo_tests {

/// The text that `call` gives, or the name of the errno that it throws.
template <class F>
rondo::task<std::string> told(F call) {
    std::error_code error;
    try {
        co_return co_await call();
    } catch (const std::system_error& e) {
        error = e.code();
    }
    const char* const name = ::strerrorname_np(error.value());
    co_return name != nullptr ? name : error.message();
}

}  // namespace rondo_tests

// The answer of a coroutine with that body.
#define TELLS(text, ...)                                                            \
    do {                                                                            \
        const auto call = [&]() -> rondo::task<std::string> { __VA_ARGS__ };        \
        const std::string answer = co_await rondo_tests::told(call);                \
        CHECK(answer == (text));                                                    \
    } while (false)
