// SPDX-License-Identifier: MIT
// Credentials: Basic (RFC 7617), Bearer (RFC 6750), Digest (RFC 7616). Digest needs hashes, which
// the caller brings: only runtime/tls/ knows OpenSSL.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace rondo {
inline namespace v0 {
namespace http {

std::string base64(std::string_view bytes);

/// "Basic dXNlcjpwYXNz". Throws: http::error if the user has a ':', which would end it.
std::string basic_credentials(std::string_view user, std::string_view password);
/// "Bearer TOKEN". Throws: http::error if the token has a space or a control character.
std::string bearer_credentials(std::string_view token);

/// A challenge of www-authenticate or proxy-authenticate.
struct challenge {
    std::string scheme;  // as it was given
    std::vector<std::pair<std::string, std::string>> parameters;
    std::optional<std::string_view> get(std::string_view name) const noexcept;
};

/// The challenges in the value of a field, which may hold several.
std::vector<challenge> parse_challenges(std::string_view value);

enum class hash_kind : std::uint8_t { md5, sha256 };
/// Lower-case hexadecimal digits of the hash of `bytes`.
using hash_function = std::string (*)(hash_kind kind, std::string_view bytes);

/// The answer to a Digest challenge.
class digest_answer {
public:
    /// Chooses the strongest challenge that can be answered: SHA-256 before MD5; qop=auth or none.
    /// Returns: nothing if there is none.
    static std::optional<digest_answer> choose(const std::vector<challenge>& from);

    /// The value of authorization for a request. `target` is the one of the request line, `cnonce`
    /// random, `count` 1 for the first use of this challenge, and one more for each further one.
    std::string credentials(std::string_view user, std::string_view password,
                            std::string_view method, std::string_view target,
                            std::string_view cnonce, std::uint32_t count, hash_function hash) const;

    /// True if the server says that only its nonce was too old: ask again without the user.
    bool is_stale() const noexcept { return is_stale_; }
    /// Answers with another nonce from now on, the one of "nextnonce".
    /// Returns: false for an algorithm of -sess, which keeps the nonce of the challenge.
    bool set_nonce(std::string_view nonce);

private:
    std::string realm_, nonce_, opaque_, algorithm_;
    hash_kind kind_ = hash_kind::md5;
    bool has_opaque_ = false;
    bool is_session_ = false;  // MD5-sess, SHA-256-sess
    bool has_qop_ = false;
    bool is_stale_ = false;
};

}  // namespace http
}  // namespace v0
}  // namespace rondo
