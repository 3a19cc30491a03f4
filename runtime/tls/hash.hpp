// SPDX-License-Identifier: MIT
// Hashes, for the answers of Digest authentication.
#pragma once

#include <string>
#include <string_view>

#include <rondo/config.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

/// Lower-case hexadecimal digits of the hash of `bytes`.
/// Throws: tls_error if this OpenSSL does not offer it (MD5 in FIPS mode), or if rondo was built
///         without OpenSSL.
std::string md5_text(std::string_view bytes);
std::string sha256_text(std::string_view bytes);

}  // namespace detail
}  // namespace v0
}  // namespace rondo
