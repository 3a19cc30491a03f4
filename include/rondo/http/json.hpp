// SPDX-License-Identifier: MIT
// Bodies in JSON, with nlohmann::json if its header is there (Debian: nlohmann-json3-dev).
//
//     nlohmann::json issue;                        // a line of its own: see below
//     issue["title"] = title;
//     auto response = co_await api.post("/issues").json(issue);
//     nlohmann::json created = co_await response.json();
//
// Do not write the value inside the `co_await` (`.json({{"title", title}})`): g++ 12 rejects braces
// there, or destroys the value twice (docs/gcc12.md). For another library, or a type of your own,
// specialize http::json_codec.
#pragma once

#include <string>
#include <string_view>

#include <rondo/http/request_builder.hpp>

#if __has_include(<nlohmann/json.hpp>)
#include <nlohmann/json.hpp>

namespace rondo {
inline namespace v0 {
namespace http {

template <>
struct json_codec<nlohmann::json> {
    static std::string text(const nlohmann::json& value) { return value.dump(); }
    /// Throws: nlohmann::json::parse_error.
    static nlohmann::json parse(std::string_view text) { return nlohmann::json::parse(text); }
};

}  // namespace http
}  // namespace v0
}  // namespace rondo
#endif
