// SPDX-License-Identifier: MIT
// Errors of HTTP. All derive from `http::error`, which names the request, except timeouts: these
// are `http::timeout_error`, a rondo::timeout_error, so that one catch serves every limit.
//
// A password in a URL never appears in a message.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include <rondo/config.hpp>
#include <rondo/error.hpp>

namespace rondo {
inline namespace v0 {
namespace http {

/// Base class of the errors of HTTP: what(), and the request that failed.
class RONDO_API error : public rondo::error {
public:
    explicit error(const std::string& what);
    /// "WHAT: METHOD URL". A text that is empty is left out.
    error(std::string_view what, std::string_view method, std::string_view url);
    ~error() override;

    /// Returns: the method of the request; empty if there was no request.
    std::string_view method() const noexcept;
    /// Returns: the URL of the request, without user and password; empty if there was none.
    std::string_view url() const noexcept;

private:
    struct request_line;
    std::shared_ptr<const request_line> request_;  // shared, since copying must not throw
};

/// A text is no URL, or one that HTTP cannot use.
class RONDO_API url_error : public error {
public:
    using error::error;
    ~url_error() override;
};

/// No connection to the server or the proxy: name lookup, connect(2), or the proxy's refusal.
class RONDO_API connect_error : public error {
public:
    using error::error;
    ~connect_error() override;
};

/// TLS failed: a certificate that is not accepted, no common version, a broken record.
class RONDO_API tls_error : public error {
public:
    using error::error;
    ~tls_error() override;
};

/// The peer broke the rules of HTTP, or ended before the head of its message was complete.
class RONDO_API protocol_error : public error {
public:
    using error::error;
    ~protocol_error() override;
};

/// The body ended early, or cannot be decoded.
class RONDO_API body_error : public error {
public:
    body_error(std::string_view what, std::string_view method, std::string_view url,
               std::uint64_t bytes_received);
    ~body_error() override;

    /// Returns: how many bytes of the body had arrived, before decoding.
    std::uint64_t bytes_received() const noexcept { return bytes_received_; }

private:
    std::uint64_t bytes_received_;
};

/// A message was larger than a limit allows.
class RONDO_API limit_error : public error {
public:
    using error::error;
    ~limit_error() override;
};

/// A redirect that is not followed: too many, from https to http, to another kind of URL, or of a
/// body that cannot be sent twice.
class RONDO_API redirect_error : public error {
public:
    using error::error;
    ~redirect_error() override;
};

/// `raise_for_status()` on a response of 400 or above: "404 Not Found: GET https://…".
class RONDO_API status_error : public error {
public:
    status_error(int status, std::string_view reason, std::string_view method,
                 std::string_view url);
    ~status_error() override;

    int status() const noexcept { return status_; }

private:
    int status_;
};

/// Phases in which a request can wait.
enum class phase : std::uint8_t {
    queue,    ///< a free connection of the pool
    connect,  ///< name lookup and connect(2)
    tls,      ///< the handshake
    send,     ///< the peer to take the request
    headers,  ///< the head of the response
    body,     ///< bytes of the body
};

/// A limit of time passed. The text names the limit, the phase and the bytes: "timed out after 30s
/// waiting for response headers: GET https://example.org/ (0 bytes)".
class RONDO_API timeout_error : public rondo::timeout_error {
public:
    /// `bytes` of the body had been received, or in phase `send` sent.
    timeout_error(http::phase phase, detail::time_limit after, std::string_view method,
                  std::string_view url, std::uint64_t bytes);
    ~timeout_error() override;

    const char* what() const noexcept override { return text_.what(); }
    http::phase phase() const noexcept { return phase_; }
    std::uint64_t bytes() const noexcept { return bytes_; }

private:
    std::runtime_error text_;  // its copy cannot throw
    std::uint64_t bytes_;
    http::phase phase_;
};

}  // namespace http
}  // namespace v0
}  // namespace rondo
