// SPDX-License-Identifier: MIT
// The bytes below a WebSocket: a connection that has switched from HTTP to another protocol.
#pragma once

#include <string_view>

#include <rondo/buffer.hpp>
#include <rondo/task.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

/// The user of such a connection, as its server knows it.
class http_upgraded {
public:
    /// The server ends: says goodbye to the peer.
    virtual void begin_end() noexcept = 0;

protected:
    ~http_upgraded() = default;
};

class http_transport {
public:
    virtual ~http_transport() = default;
    /// Bytes that have come, good until the next call; empty at the end.
    /// Throws: std::system_error, tls_error.
    virtual task<std::string_view> read() = 0;
    virtual task<> write(const_buffer bytes) = 0;
    virtual task<> shutdown_write() = 0;
    /// Closes it after both sides have said goodbye.
    virtual task<> close() = 0;
    /// Closes it at once.
    virtual void abort() noexcept = 0;

    /// Hears of the end of the server; null: none.
    http_upgraded* user = nullptr;
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
