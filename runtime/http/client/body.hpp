// SPDX-License-Identifier: MIT
// Sources of request bodies: bytes, files, generators, forms.
#pragma once

#include <memory>

#include <rondo/http/request_builder.hpp>
#include <rondo/task.hpp>

#include "http/client/request_spec.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

/// The source of the body that `spec` describes; null if there is none. Opens its files, and sets
/// the content type of a multipart form.
/// Throws: std::system_error.
task<std::shared_ptr<http::body_source>> make_body(http_request& spec);

}  // namespace detail
}  // namespace v0
}  // namespace rondo
