// SPDX-License-Identifier: MIT
// The opening of a WebSocket in HTTP's words (RFC 6455, section 4), without a connection.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <rondo/http/fields.hpp>
#include <rondo/http/reply.hpp>
#include <rondo/http/request.hpp>

#include "http/websocket/deflate.hpp"

namespace rondo {
inline namespace v0 {
namespace http {
namespace ws {

/// The value of sec-websocket-accept for a sec-websocket-key.
std::string accept_key(std::string_view key);
/// A key of a client: 16 random bytes in base64.
std::string random_key();

/// The terms that both sides have agreed on.
struct agreement {
    std::string subprotocol;
    deflate_terms deflate;
};

// -- client --------------------------------------------------------------------------------------
/// The wishes of a client.
struct wish {
    std::vector<std::string> subprotocols;
    bool compression = true;
    bool in_context = false;
};
/// The fields of the client's request, apart from the origin.
void add_request_fields(fields& to, const wish& wanted, std::string_view key);
/// Reads the answer of status 101.
/// Returns: the agreement, or a sentence about what is wrong in `error`.
std::optional<agreement> read_response(const fields& answer, const wish& wanted,
                                       std::string_view key, std::string& error);

// -- server --------------------------------------------------------------------------------------
/// The conditions of a server.
struct policy {
    std::string origins;
    std::string subprotocols;
    bool compression = true;
    bool in_context = false;
};
/// Reads a request.
/// Returns: the refusal, or nothing; then `answer` has the fields of the reply of status 101.
std::optional<reply> read_request(const request& asked, const policy& allowed, fields& answer,
                                  agreement& made);

}  // namespace ws
}  // namespace http
}  // namespace v0
}  // namespace rondo
