// SPDX-License-Identifier: MIT
// SHA-1, for the key of a WebSocket's opening alone (RFC 6455, section 1.3), where it protects
// nothing. It is here so that ws:// does not need OpenSSL.
#pragma once

#include <string>
#include <string_view>

#include <rondo/config.hpp>

namespace rondo {
inline namespace v0 {
namespace http {
namespace ws {

/// The 20 bytes of the hash.
std::string sha1(std::string_view bytes);

}  // namespace ws
}  // namespace http
}  // namespace v0
}  // namespace rondo
