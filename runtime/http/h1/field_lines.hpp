// SPDX-License-Identifier: MIT
// Lines of a head or of trailers: found in the input, or collected if they are split over reads,
// and written into `fields` as they come. Nothing is scanned twice.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include <rondo/http/fields.hpp>

namespace rondo {
inline namespace v0 {
namespace http {
namespace h1 {

inline constexpr const char* bare_line_feed = "a line ends with a bare line feed";

/// A line without its CR LF, or why there is none.
struct found_line {
    std::size_t consumed = 0;
    bool is_complete = false;
    std::string_view text;        // good until the next call
    const char* error = nullptr;  // a bare line feed
};

class field_lines {
public:
    /// The first line of `bytes`, joined with what was kept of it before.
    found_line take(std::string_view bytes);
    /// The part of a line that has come so far.
    std::string_view kept() const noexcept { return kept_; }
    void clear() noexcept;

private:
    std::string kept_;
    bool is_joined_ = false;  // kept_ is a line that was given out
};

/// Adds the field of `line` to `to`. A line that begins with a space continues the value before it,
/// if `may_fold`.
/// Returns: why the line is refused; null if it is taken.
const char* add_field_line(fields& to, std::string_view line, bool may_fold);

}  // namespace h1
}  // namespace http
}  // namespace v0
}  // namespace rondo
