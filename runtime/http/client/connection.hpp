// SPDX-License-Identifier: MIT
// A connection of the client's: TCP or a Unix socket, with TLS or without; memory in tests.
#pragma once

#include <string_view>
#include <utility>
#include <variant>

#include <rondo/memory_stream.hpp>
#include <rondo/net.hpp>
#include <rondo/tls_stream.hpp>
#include <rondo/unix.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

class http_connection {
public:
    using any_stream = std::variant<tcp_stream, unix_stream, tls_stream, memory_stream>;

    explicit http_connection(any_stream stream) noexcept : stream_(std::move(stream)) {}

    task<chunk> read_some(buffer_view into) {
        if (byte_stream* const plain = direct()) co_return co_await plain->read_some(into);
        if (memory_stream* const memory = std::get_if<memory_stream>(&stream_))
            co_return co_await memory->read_some(into);
        co_return co_await std::get<tls_stream>(stream_).read_some(into);
    }
    task<> write_all(const_buffer first, const_buffer second = {}, const_buffer third = {}) {
        if (byte_stream* const plain = direct())
            co_await plain->write_all(first, second, third);
        else if (std::holds_alternative<memory_stream>(stream_))
            co_await write_to_memory(first, second, third);
        else
            co_await std::get<tls_stream>(stream_).write_all(first, second, third);
    }
    task<> shutdown_write();
    /// Closes it and waits for that.
    task<> close();
    /// Closes it at once, without TLS's farewell.
    void abort() noexcept;

    /// Whether nothing has come on it: no byte, no end, no error. Only then a connection that was
    /// idle is used again (RFC 9112, section 9.2).
    bool is_quiet() noexcept;

    time_point idle_since{};
    time_point idle_until{};

private:
    task<> write_to_memory(const_buffer first, const_buffer second, const_buffer third);
    byte_stream* direct() noexcept {
        if (auto* const tcp = std::get_if<tcp_stream>(&stream_)) return tcp;
        return std::get_if<unix_stream>(&stream_);
    }

    any_stream stream_;
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
