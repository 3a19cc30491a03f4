// SPDX-License-Identifier: MIT
// Names and values of a query or of a form (application/x-www-form-urlencoded).
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <rondo/config.hpp>

namespace rondo {
inline namespace v0 {
namespace http {

/// Pairs of a name and a value, in their order; names may repeat.
///
///     http::form search;
///     search.add("q", "x y").add("page", "2");
///     search.text();                              // "q=x%20y&page=2"
///     http::form(where.query()).get("page");      // "2"
class RONDO_API form {
public:
    using pair = std::pair<std::string, std::string>;

    form() noexcept = default;
    /// Parses "a=1&b=x+y&c". '+' is a space; a '%' without two digits after it stands for itself;
    /// a name without '=' has an empty value.
    explicit form(std::string_view encoded);

    form& add(std::string_view name, std::string_view value);
    /// The value of the first pair of that name, which counts by case.
    std::optional<std::string_view> get(std::string_view name) const noexcept;
    std::vector<std::string_view> get_all(std::string_view name) const;
    bool contains(std::string_view name) const noexcept { return get(name).has_value(); }

    bool empty() const noexcept { return pairs_.empty(); }
    std::size_t size() const noexcept { return pairs_.size(); }
    std::vector<pair>::const_iterator begin() const noexcept { return pairs_.begin(); }
    std::vector<pair>::const_iterator end() const noexcept { return pairs_.end(); }

    /// The encoded text, for a query or a body. A space is %20, which every server decodes.
    std::string text() const;

private:
    std::vector<pair> pairs_;
};

}  // namespace http
}  // namespace v0
}  // namespace rondo
