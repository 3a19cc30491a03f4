// SPDX-License-Identifier: MIT
// Contexts of TLS: what a side trusts, and who it says it is. Made once, then copied cheaply and
// shared by all connections, also between threads.
//
//     auto trust = rondo::tls::client_context().trust_file("ca.pem").alpn("h2", "http/1.1");
//     auto identity = rondo::tls::server_context("chain.pem", "key.pem");
//
// A context is a builder. The first connection fixes it: a later change of one copy makes that copy
// a context of its own and leaves the others alone. `server_context::reload` is the exception: it
// reaches every copy, so that a certificate can be replaced without a restart.
//
// Files are read when they are named, on the calling thread. Certificates and keys are in PEM form.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <rondo/tls_error.hpp>

namespace rondo {
inline namespace v0 {

namespace detail {
struct tls_context_state;
struct tls_access;
}  // namespace detail

namespace tls {

/// Version of the protocol. Older ones than 1.2 are never spoken.
enum class version : std::uint8_t { none, tls_1_2, tls_1_3 };
/// "TLS 1.3"; empty for `none`.
RONDO_API std::string_view text(version which) noexcept;

/// A certificate, as its parts. Copies share them.
/// See: X.509 in RFC 5280, ssl.SSLSocket.getpeercert.
class RONDO_API certificate {
public:
    using time = std::chrono::system_clock::time_point;

    /// From the first certificate in a PEM text.
    /// Throws: tls_error.
    static certificate from_text(std::string_view pem);

    /// "C=DE, O=Example, CN=example.org"
    const std::string& subject() const noexcept;
    const std::string& issuer() const noexcept;
    /// The host names and IP addresses that it is valid for (subjectAltName).
    const std::vector<std::string>& names() const noexcept;
    time not_before() const noexcept;
    time not_after() const noexcept;
    /// Serial number, in hexadecimal digits.
    const std::string& serial() const noexcept;
    /// SHA-256 of the whole certificate, in hexadecimal digits.
    const std::string& fingerprint() const noexcept;
    /// The certificate itself, as PEM text.
    const std::string& pem() const noexcept;

    struct parts;
    explicit certificate(std::shared_ptr<const parts> all) noexcept : parts_(std::move(all)) {}

private:
    std::shared_ptr<const parts> parts_;
};

/// The client's side of TLS. The default one trusts the system's store, verifies certificate and
/// host name, and speaks TLS 1.2 and 1.3. All default ones share their sessions.
/// Thread: any; changing one object is not for two threads at once.
/// See:    ssl.create_default_context.
class RONDO_API client_context {
public:
    client_context() noexcept = default;

    /// Trusts the authorities (or single certificates) of a file, of all files of a folder, or of a
    /// text. The first call replaces the system's store; further calls add.
    /// Throws: std::system_error if a file cannot be read; tls_error if there is no certificate.
    client_context& trust_file(std::string_view path) &;
    client_context& trust_folder(std::string_view path) &;
    client_context& trust_text(std::string_view pem) &;
    /// The same in addition to what is trusted already, the system's store at first.
    client_context& add_trust_file(std::string_view path) &;
    client_context& add_trust_folder(std::string_view path) &;
    client_context& add_trust_text(std::string_view pem) &;
    /// Refuses certificates that a list of revocations names. Then every issuer of a server's
    /// certificate needs a list.
    /// Throws: as trust_file.
    client_context& crl_file(std::string_view path) &;
    /// Accepts every certificate of every host: anybody on the way can read and change all bytes.
    client_context& insecure_skip_verification() &;

    /// The certificate that this side shows if the server asks for one: a chain, its own first.
    /// Throws: std::system_error if a file cannot be read; tls_error if they do not fit together.
    client_context& certificate(std::string_view chain_path, std::string_view key_path) &;
    client_context& certificate_text(std::string_view chain, std::string_view key) &;

    /// Protocols to speak over TLS, the preferred one first: alpn("h2", "http/1.1").
    /// Throws: std::invalid_argument for a name that is empty or longer than 255 bytes.
    /// See:    RFC 7301.
    template <class... Names>
        requires(std::is_convertible_v<const Names&, std::string_view> && ...)
    client_context& alpn(const Names&... names) & {
        return alpn_names({std::string_view(names)...}), *this;
    }
    /// Name to send (SNI) and to verify, instead of the host that is connected to.
    client_context& server_name(std::string_view name) &;
    /// Refuses older versions. Throws: std::invalid_argument for `none`.
    client_context& minimum_version(version least) &;
    /// Whether a new connection resumes a session with the same host, which saves a round trip of
    /// computation. On by default; a context keeps at most 256 sessions.
    client_context& resumption(bool on) &;
    /// Appends the secrets of each connection to a file, for Wireshark. With this file the
    /// connections can be decrypted.
    /// Throws: std::system_error.
    client_context& key_log_file(std::string_view path) &;
    /// The same with the file that the environment variable SSLKEYLOGFILE names, if it is set.
    client_context& key_log_from_environment() &;

    // -- the same on a temporary -----------------------------------------------------------------
    client_context trust_file(std::string_view path) && { return std::move(trust_file(path)); }
    client_context trust_folder(std::string_view path) && { return std::move(trust_folder(path)); }
    client_context trust_text(std::string_view pem) && { return std::move(trust_text(pem)); }
    client_context add_trust_file(std::string_view p) && { return std::move(add_trust_file(p)); }
    client_context add_trust_folder(std::string_view p) && {
        return std::move(add_trust_folder(p));
    }
    client_context add_trust_text(std::string_view pem) && {
        return std::move(add_trust_text(pem));
    }
    client_context crl_file(std::string_view path) && { return std::move(crl_file(path)); }
    client_context insecure_skip_verification() && {
        return std::move(insecure_skip_verification());
    }
    client_context certificate(std::string_view chain_path, std::string_view key_path) && {
        return std::move(certificate(chain_path, key_path));
    }
    client_context certificate_text(std::string_view chain, std::string_view key) && {
        return std::move(certificate_text(chain, key));
    }
    template <class... Names>
        requires(std::is_convertible_v<const Names&, std::string_view> && ...)
    client_context alpn(const Names&... names) && {
        return std::move(alpn(names...));
    }
    client_context server_name(std::string_view name) && { return std::move(server_name(name)); }
    client_context minimum_version(version least) && { return std::move(minimum_version(least)); }
    client_context resumption(bool on) && { return std::move(resumption(on)); }
    client_context key_log_file(std::string_view path) && { return std::move(key_log_file(path)); }
    client_context key_log_from_environment() && {
        return std::move(key_log_from_environment());
    }

    /// Returns: whether both are copies of one context, which share their sessions.
    friend bool operator==(const client_context& a, const client_context& b) noexcept {
        return a.state_ == b.state_;
    }

private:
    friend struct detail::tls_access;
    void alpn_names(std::vector<std::string_view> names);

    std::shared_ptr<detail::tls_context_state> state_;  // null: the default one
};

class server_context;

/// The function that chooses a server's context by the name that a client asks for.
class RONDO_API name_chooser {
public:
    virtual ~name_chooser();
    virtual std::optional<server_context> choose(std::string_view name) = 0;
};

/// The server's side of TLS: a chain of certificates and a key.
/// Thread: any; changing one object is not for two threads at once, except by `reload`.
/// See:    ssl.SSLContext.load_cert_chain.
class RONDO_API server_context {
public:
    /// Reads a chain, the server's own certificate first, and its key.
    /// Throws: std::system_error if a file cannot be read; tls_error if they do not fit together.
    server_context(std::string_view chain_path, std::string_view key_path);
    /// The same from texts.
    static server_context from_text(std::string_view chain, std::string_view key);

    /// Reads both files again. New connections get the new certificate, on every copy of this
    /// context; the others go on. If reading fails, the old certificate stays.
    /// Throws: as the constructor; invalid_state_error for a context that was made from texts.
    void reload();
    /// The same from texts.
    void reload_text(std::string_view chain, std::string_view key);

    /// Chooses the context by the name that the client asks for (SNI). `choose(std::string_view)`
    /// returns std::optional<server_context>; an empty one means this context. It must not wait.
    /// An exception that it throws ends the handshake.
    template <class Choose>
        requires std::is_convertible_v<std::invoke_result_t<Choose&, std::string_view>,
                                       std::optional<server_context>>
    server_context& by_name(Choose choose) & {
        return set_chooser(std::make_shared<chooser<Choose>>(std::move(choose)));
    }

    /// Asks clients for a certificate of an authority in the file, and refuses those without one.
    /// Throws: as client_context::trust_file.
    server_context& require_client_certificate(std::string_view authority_path) &;
    server_context& require_client_certificate_text(std::string_view authorities) &;
    /// The same, but a client without a certificate is accepted: see tls_stream::peer_certificate.
    server_context& ask_client_certificate(std::string_view authority_path) &;
    server_context& ask_client_certificate_text(std::string_view authorities) &;
    /// Refuses client certificates that a list of revocations names.
    server_context& crl_file(std::string_view path) &;

    /// Protocols to speak over TLS, the preferred one first. A client that offers others only is
    /// refused; one that offers none is accepted.
    /// Throws: std::invalid_argument for a name that is empty or longer than 255 bytes.
    template <class... Names>
        requires(std::is_convertible_v<const Names&, std::string_view> && ...)
    server_context& alpn(const Names&... names) & {
        return alpn_names({std::string_view(names)...}), *this;
    }
    /// Refuses older versions. Throws: std::invalid_argument for `none`.
    server_context& minimum_version(version least) &;
    /// As client_context::key_log_file.
    server_context& key_log_file(std::string_view path) &;

    // -- the same on a temporary -----------------------------------------------------------------
    template <class Choose>
        requires std::is_convertible_v<std::invoke_result_t<Choose&, std::string_view>,
                                       std::optional<server_context>>
    server_context by_name(Choose choose) && {
        return std::move(by_name(std::move(choose)));
    }
    server_context require_client_certificate(std::string_view path) && {
        return std::move(require_client_certificate(path));
    }
    server_context require_client_certificate_text(std::string_view authorities) && {
        return std::move(require_client_certificate_text(authorities));
    }
    server_context ask_client_certificate(std::string_view path) && {
        return std::move(ask_client_certificate(path));
    }
    server_context ask_client_certificate_text(std::string_view authorities) && {
        return std::move(ask_client_certificate_text(authorities));
    }
    server_context crl_file(std::string_view path) && { return std::move(crl_file(path)); }
    template <class... Names>
        requires(std::is_convertible_v<const Names&, std::string_view> && ...)
    server_context alpn(const Names&... names) && {
        return std::move(alpn(names...));
    }
    server_context minimum_version(version least) && { return std::move(minimum_version(least)); }
    server_context key_log_file(std::string_view path) && { return std::move(key_log_file(path)); }

private:
    friend struct detail::tls_access;
    server_context() noexcept = default;

    template <class Choose>
    class chooser final : public name_chooser {
    public:
        explicit chooser(Choose choose) : choose_(std::move(choose)) {}
        std::optional<server_context> choose(std::string_view name) override {
            return choose_(name);
        }

    private:
        Choose choose_;
    };
    server_context& set_chooser(std::shared_ptr<name_chooser> chooser);
    void alpn_names(std::vector<std::string_view> names);

    std::shared_ptr<detail::tls_context_state> state_;
};

}  // namespace tls
}  // namespace v0
}  // namespace rondo
