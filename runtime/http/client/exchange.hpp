// SPDX-License-Identifier: MIT
// An exchange: one request and its response on a connection, whatever the version of HTTP. In
// HTTP/1.1 it has the connection to itself.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include <rondo/http/fields.hpp>
#include <rondo/http/request_builder.hpp>
#include <rondo/task.hpp>

#include "http/client/budget.hpp"
#include "http/client/pool.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

struct http_outgoing {
    std::string_view method;
    std::string_view scheme;
    std::string_view target;     // as the first line has it
    std::string_view authority;  // Host
    const http::fields* headers = nullptr;
    http::body_source* body = nullptr;
    bool upgrade = false;  // asks for another protocol: the response may be 101
};

/// A connection that has switched to another protocol, and bytes of that which have come.
struct http_switched {
    std::unique_ptr<http_connection> connection;
    std::string unread;
};

struct http_incoming {
    int status = 0;
    http::version version = http::version::http_1_1;
    std::string reason;
    http::fields headers;
    std::optional<std::uint64_t> content_length;
};

class http_exchange {
public:
    virtual ~http_exchange() = default;

    /// Sends the request and waits for the head of the response. A response that comes before the
    /// whole body was sent ends the sending.
    /// Throws: http::error; http::timeout_error; std::system_error and tls_error of the connection.
    virtual task<http_incoming> ask(const http_outgoing& request) = 0;
    /// The next bytes of the body as they were sent, good until the next call; empty at the end.
    /// Throws: as ask. Each later call throws it again.
    /// Cancel: no byte is lost.
    virtual task<std::string_view> read() = 0;
    /// From now on a read waits for as long as it takes: an event stream may be silent.
    virtual void wait_without_limit() noexcept = 0;
    virtual bool has_ended() const noexcept = 0;
    virtual const http::fields& trailers() const noexcept = 0;
    /// True if the peer has not sent a byte of the response. The request may then be repeated.
    virtual bool is_unanswered() const noexcept = 0;
    /// True if an earlier request was sent on the connection.
    virtual bool was_reused() const noexcept = 0;
    /// True if the source of the request's body has thrown.
    virtual bool has_body_failed() const noexcept = 0;
    /// True if no byte of the request was sent.
    virtual bool is_unsent() const noexcept = 0;
    /// True if the server has said that it did not handle the request: it may be sent again,
    /// whatever its method.
    virtual bool is_refused() const noexcept = 0;
    /// After that: true if the connection ends, and has answered others. A server that ends each
    /// connection after some requests refuses those that were on their way.
    virtual bool came_too_late() const noexcept { return false; }
    /// Gives the connection back, or closes it if it cannot be used again. A rest of the body that
    /// is short is read first, in a task of its own.
    virtual void release() noexcept = 0;
    /// The same, and waits for the rest: so the next request need not connect.
    virtual task<> finish() = 0;
    /// After a response of status 101 to a request with `upgrade`: the connection, which leaves the
    /// pool. Otherwise nothing.
    virtual http_switched take_switched() { return {}; }
    /// Time for which reads have waited for bytes.
    duration waited() const noexcept { return waited_; }

protected:
    duration waited_{};
};

struct exchange_options {
    std::size_t head_bytes;
    std::size_t header_fields;
    duration headers;     // limit of the wait for the head
    duration read;        // limit of a wait for bytes of the body, and for the peer to take some
    duration keep_alive;  // of the idle connection, unless the server says more or less
    std::uint32_t stream_window;
};

/// `budget` must outlive it.
std::unique_ptr<http_exchange> make_h1_exchange(http_lease lease, const exchange_options& options,
                                                http_budget& budget);
/// On a connection that is shared.
std::unique_ptr<http_exchange> make_h2_exchange(http_lease lease, const exchange_options& options,
                                                http_budget& budget);
/// A connection for exchanges of HTTP/2, on which nothing was sent yet. It begins to read.
/// Throws: http::error if the library was built without nghttp2.
std::shared_ptr<http_shared_connection> make_h2_connection(http_connection::any_stream stream,
                                                           const exchange_options& options);

}  // namespace detail
}  // namespace v0
}  // namespace rondo
