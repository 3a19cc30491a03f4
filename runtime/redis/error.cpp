// SPDX-License-Identifier: MIT
// Errors of Redis.
#include <rondo/redis/error.hpp>

#include <algorithm>

namespace rondo {
inline namespace v0 {
namespace redis {

namespace {

/// Texts of a server may be long, and end up in logs.
constexpr std::size_t shown_bytes = 300;

std::string shown(std::string_view command, std::string_view message) {
    std::string text(command);
    text += ": ";
    text += message.substr(0, shown_bytes);
    std::replace_if(
        text.begin(), text.end(), [](unsigned char c) { return c < ' ' || c == 127; }, ' ');
    return text;
}

}  // namespace

error::~error() = default;
url_error::~url_error() = default;
connection_error::~connection_error() = default;
connection_lost::~connection_lost() = default;
protocol_error::~protocol_error() = default;

reply_error::reply_error(std::string_view command, std::string_view message)
    : error(shown(command, message)), message_(std::make_shared<const std::string>(message)) {}
reply_error::~reply_error() = default;

std::string_view reply_error::code() const noexcept {
    const std::string_view whole = *message_;
    return whole.substr(0, whole.find(' '));
}

}  // namespace redis
}  // namespace v0
}  // namespace rondo
