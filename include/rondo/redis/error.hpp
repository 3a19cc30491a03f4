// SPDX-License-Identifier: MIT
// Errors of Redis. All derive from `redis::error`. No text contains a password.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include <rondo/config.hpp>
#include <rondo/error.hpp>

namespace rondo {
inline namespace v0 {
namespace redis {

/// Base class of the errors of Redis.
class RONDO_API error : public rondo::error {
public:
    using rondo::error::error;
    ~error() override;
};

/// A text is no URL of a Redis server.
class RONDO_API url_error : public error {
public:
    using error::error;
    ~url_error() override;
};

/// The server answered with an error: "SET: WRONGTYPE Operation against a key ...".
/// See: redis.exceptions.ResponseError of redis-py.
class RONDO_API reply_error : public error {
public:
    reply_error(std::string_view command, std::string_view message);
    ~reply_error() override;

    /// Returns: the server's text: "WRONGTYPE Operation against a key holding ...".
    const std::string& message() const noexcept { return *message_; }
    /// Returns: its first word: "ERR", "WRONGTYPE", "NOAUTH".
    std::string_view code() const noexcept;

private:
    std::shared_ptr<const std::string> message_;  // shared, since copying must not throw
};

/// There is no connection to the server, and the command was not sent.
/// See: redis.exceptions.ConnectionError of redis-py.
class RONDO_API connection_error : public error {
public:
    using error::error;
    ~connection_error() override;
};

/// The connection ended after the command was sent and before its reply came: the server may have
/// run it.
class RONDO_API connection_lost : public connection_error {
public:
    using connection_error::connection_error;
    ~connection_lost() override;
};

/// The server broke the rules of its protocol, or a reply was larger than client_options allow.
class RONDO_API protocol_error : public connection_lost {
public:
    using connection_lost::connection_lost;
    ~protocol_error() override;
};

}  // namespace redis
}  // namespace v0
}  // namespace rondo
