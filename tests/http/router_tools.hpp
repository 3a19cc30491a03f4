// SPDX-License-Identifier: MIT
// For tests of routers by a test_client: handlers that say their name, and what is answered.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <rondo/http/test_client.hpp>

#include "http/server_tools.hpp"

namespace rondo_tests {

/// Answers with a name and all parameters.
inline auto named(std::string name, std::vector<std::string> parameters = {}) {
    return [name, parameters](rondo::http::request& request) {
        std::string text = name;
        for (const std::string& each : parameters)
            text += ' ' + each + '=' + std::string(request.parameter(each));
        return rondo::http::reply::text(text);
    };
}

inline rondo::task<std::string> body(rondo::http::request_builder request) {
    auto response = co_await std::move(request);
    const std::string text = co_await response.text();
    co_return std::to_string(response.status()) + ' ' + text;
}
inline rondo::task<std::string> field(rondo::http::request_builder request, std::string name) {
    auto response = co_await std::move(request);
    co_return std::string(response.header(name).value_or("(none)"));
}

}  // namespace rondo_tests
