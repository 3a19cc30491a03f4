// SPDX-License-Identifier: MIT
// Writes fields that a decoder has already checked, without checking them again.
#pragma once

#include <string_view>

#include <rondo/http/fields.hpp>

namespace rondo {
inline namespace v0 {
namespace http {

class field_writer {
public:
    explicit field_writer(fields& to) noexcept : to_(to) {}

    /// `name` is a token and `value` a value without spaces around it; neither is a view of `to`.
    void add(std::string_view name, std::string_view value);
    /// Continues the value of the last field, after a space. There is one, and it was added last.
    void extend_last(std::string_view value);

private:
    fields& to_;
};

}  // namespace http
}  // namespace v0
}  // namespace rondo
