// SPDX-License-Identifier: MIT
// Closing, and the look at an idle connection.
#include "http/client/connection.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

task<> http_connection::close() {
    if (auto* const secure = std::get_if<tls_stream>(&stream_))
        co_await secure->close();
    else
        co_await direct()->close();
}

void http_connection::abort() noexcept {
    if (auto* const secure = std::get_if<tls_stream>(&stream_))
        secure->abort();
    else
        static_cast<void>(direct()->close());
}

bool http_connection::is_quiet() noexcept {
    if (auto* const secure = std::get_if<tls_stream>(&stream_)) return secure->is_quiet();
    return direct()->is_quiet();
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
