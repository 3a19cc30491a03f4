// SPDX-License-Identifier: MIT
// Texts of the errors of TLS, and anchors of their vtables.
#include <rondo/tls_error.hpp>

namespace rondo {
inline namespace v0 {

struct tls_error::parts {
    std::string peer, reason;
};

namespace {

std::string whole_text(std::string_view verb, std::string_view peer, std::string_view reason) {
    std::string text(verb);
    if (!peer.empty()) (text += ' ') += peer;
    return (text += ": ") += reason;
}

}  // namespace

tls_error::tls_error(const std::string& reason)
    : error(reason), parts_(std::make_shared<parts>(parts{{}, reason})) {}
tls_error::tls_error(std::string_view verb, std::string_view peer, std::string_view reason)
    : error(whole_text(verb, peer, reason)),
      parts_(std::make_shared<parts>(parts{std::string(peer), std::string(reason)})) {}
tls_error::~tls_error() = default;

std::string_view tls_error::peer() const noexcept { return parts_->peer; }
std::string_view tls_error::reason() const noexcept { return parts_->reason; }

tls_certificate_error::~tls_certificate_error() = default;
tls_truncated_error::~tls_truncated_error() = default;

}  // namespace v0
}  // namespace rondo
