// SPDX-License-Identifier: MIT
// Media types of files.
#pragma once

#include <string_view>

namespace rondo {
inline namespace v0 {
namespace http {

/// By the extension, case ignored; "application/octet-stream" for those that are not in the table.
std::string_view media_type_of(std::string_view path) noexcept;

/// True for types that a compressor makes smaller: text, JSON, XML, JavaScript, WebAssembly, SVG.
bool is_compressible(std::string_view media_type) noexcept;

}  // namespace http
}  // namespace v0
}  // namespace rondo
