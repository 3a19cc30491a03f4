// SPDX-License-Identifier: MIT
// Errors of TLS. Failures of the transport below (a reset, a broken pipe) stay what they are:
// std::system_error. A limit of time is a timeout_error.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include <rondo/config.hpp>
#include <rondo/error.hpp>

namespace rondo {
inline namespace v0 {

/// TLS failed: no common version, a broken record, an alert of the peer. Later calls on the stream
/// throw it again. The text names the peer: "handshake localhost:8443: the peer does not speak TLS
/// (wrong version number)".
class RONDO_API tls_error : public error {
public:
    explicit tls_error(const std::string& reason);
    /// "VERB PEER: REASON"
    tls_error(std::string_view verb, std::string_view peer, std::string_view reason);
    ~tls_error() override;

    /// Returns: the other side, "localhost:8443"; empty if the error is about no connection.
    std::string_view peer() const noexcept;
    /// Returns: what() without verb and peer.
    std::string_view reason() const noexcept;

private:
    struct parts;
    std::shared_ptr<const parts> parts_;  // shared, since copying must not throw
};

/// The peer's certificate is not accepted: "certificate of example.org has expired (2024-01-01)",
/// "host name mismatch: wanted a, certificate is for b, c".
/// See: docs/tls.md for all of them, ssl.SSLCertVerificationError.
class RONDO_API tls_certificate_error : public tls_error {
public:
    using tls_error::tls_error;
    ~tls_certificate_error() override;
};

/// The connection ended without the peer's close_notify. Bytes may be missing at the end: a third
/// party can cut a TCP connection, but cannot make a close_notify.
/// See: ssl.SSLEOFError.
class RONDO_API tls_truncated_error : public tls_error {
public:
    using tls_error::tls_error;
    ~tls_truncated_error() override;
};

namespace tls {
using error = tls_error;
using certificate_error = tls_certificate_error;
using truncated_error = tls_truncated_error;
}  // namespace tls

}  // namespace v0
}  // namespace rondo
