// SPDX-License-Identifier: MIT
// Host names that are not ASCII, by libidn2.
#pragma once

#include <string>
#include <string_view>

namespace rondo {
inline namespace v0 {
namespace http {

/// "xn--bcher-kva.example" of "bücher.example" in UTF-8 (RFC 5891, with the mapping of UTS 46).
/// Throws: url_error with libidn2's reason, or the name of the package if it was built without.
std::string host_to_ascii(std::string_view name);

}  // namespace http
}  // namespace v0
}  // namespace rondo
