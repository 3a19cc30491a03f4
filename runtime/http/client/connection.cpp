// SPDX-License-Identifier: MIT
// Closing, and the look at an idle connection.
#include "http/client/connection.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

task<> http_connection::close() {
    if (auto* const secure = std::get_if<tls_stream>(&stream_))
        co_await secure->close();
    else if (auto* const memory = std::get_if<memory_stream>(&stream_))
        memory->close();
    else
        co_await direct()->close();
}

task<> http_connection::shutdown_write() {
    if (auto* const secure = std::get_if<tls_stream>(&stream_))
        co_await secure->shutdown_write();
    else if (auto* const memory = std::get_if<memory_stream>(&stream_))
        co_await memory->shutdown_write();
    else if (auto* const tcp = std::get_if<tcp_stream>(&stream_))
        co_await tcp->shutdown_write();
    else
        co_await std::get<unix_stream>(stream_).shutdown_write();
}

void http_connection::abort() noexcept {
    if (auto* const secure = std::get_if<tls_stream>(&stream_))
        secure->abort();
    else if (auto* const memory = std::get_if<memory_stream>(&stream_))
        memory->close();
    else
        static_cast<void>(direct()->close());
}

bool http_connection::is_quiet() noexcept {
    if (auto* const secure = std::get_if<tls_stream>(&stream_)) return secure->is_quiet();
    if (std::holds_alternative<memory_stream>(stream_)) return true;  // if not, a read will tell
    return direct()->is_quiet();
}

task<> http_connection::write_to_memory(const_buffer first, const_buffer second,
                                        const_buffer third) {
    memory_stream& memory = std::get<memory_stream>(stream_);
    for (const const_buffer part : {first, second, third})
        if (!part.empty()) co_await memory.write_all(part);
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
