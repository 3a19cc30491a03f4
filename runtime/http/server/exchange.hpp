// SPDX-License-Identifier: MIT
// The server's side of an exchange, whatever the version of HTTP: the body of the request, and the
// body of a reply that is written piece by piece. And the state behind an http::request.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <rondo/buffer.hpp>
#include <rondo/endpoint.hpp>
#include <rondo/http/fields.hpp>
#include <rondo/http/form.hpp>
#include <rondo/http/response.hpp>
#include <rondo/task.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

struct http_server;

class http_server_exchange {
public:
    /// The next bytes of the request's body, good until the next call; empty at the end.
    /// Throws: reply_error. Each later call throws it again.
    /// Cancel: no byte is lost.
    virtual task<std::string_view> read_body() = 0;
    /// Fields after the request's body; complete at its end.
    virtual const http::fields& request_trailers() const noexcept = 0;

    /// Writes bytes of the reply's body, after its head.
    /// Throws: http::error if they are more than the reply's length; the stream's errors.
    virtual task<> write_body(const_buffer data) = 0;
    /// Fields to send after the reply's body.
    virtual http::fields& reply_trailers() noexcept = 0;

    virtual endpoint peer() const = 0;
    virtual bool is_secure() const noexcept = 0;
    /// True if the connection can switch to another protocol: a reply_source with `upgrade`.
    virtual bool can_upgrade() const noexcept { return false; }

protected:
    ~http_server_exchange() = default;
};

/// One for a connection or a stream, used for one request after the other: its strings keep their
/// memory.
struct http_server_request {
    http_server_exchange* exchange = nullptr;
    const http_server* server = nullptr;

    // Views of the decoder's head.
    std::string_view method;
    std::string_view target;
    std::string_view path;
    std::string_view query_text;
    const http::fields* headers = nullptr;
    http::version version = http::version::http_1_1;
    std::optional<std::uint64_t> length;  // of the body
    std::string_view kept;                // of the last piece of the body, not read yet

    // The findings of the router.
    std::vector<std::string_view> segments;  // of the path, decoded
    std::vector<std::string> decoded;        // memory of those that had to be
    std::vector<std::pair<std::string_view, std::string>> parameters;
    std::size_t parameter_count = 0;
    std::size_t mounted_at = 0;  // segments that belong to routers around this one

    std::optional<http::form> query;
    std::string user;

    /// Takes a target apart, and forgets the request before.
    void begin(std::string_view method_of_it, std::string_view target_of_it);
    /// Frees what an unusual request took, so that an idle connection stays small.
    void shrink() noexcept;
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
