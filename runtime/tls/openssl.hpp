// SPDX-License-Identifier: MIT
// Owners of OpenSSL's objects, and its errors in words. Included by the files of this folder that
// need OpenSSL, and by no other.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <rondo/tls_context.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

template <auto Free>
struct freed_by {
    template <class T>
    void operator()(T* object) const noexcept {
        Free(object);
    }
};
using bio_owner = std::unique_ptr<BIO, freed_by<BIO_free>>;
using certificate_owner = std::unique_ptr<X509, freed_by<X509_free>>;
using crl_owner = std::unique_ptr<X509_CRL, freed_by<X509_CRL_free>>;
using key_owner = std::unique_ptr<EVP_PKEY, freed_by<EVP_PKEY_free>>;
using ctx_owner = std::unique_ptr<SSL_CTX, freed_by<SSL_CTX_free>>;
using ssl_owner = std::unique_ptr<SSL, freed_by<SSL_free>>;
using session_owner = std::unique_ptr<SSL_SESSION, freed_by<SSL_SESSION_free>>;
using names_owner = std::unique_ptr<GENERAL_NAMES, freed_by<GENERAL_NAMES_free>>;

/// Initializes OpenSSL before its first use, without a handler that runs at exit: other threads
/// may still use it then.
void init_openssl();

/// The newest error of this thread's queue in words, and an empty queue.
std::string take_openssl_error();
/// "the peer sent the alert "unknown CA"", "wrong version number": the text of one error code.
std::string text_of_openssl_error(unsigned long code);

class tls_engine;
/// A BIO that moves bytes between OpenSSL and the buffers of `engine`, which must outlive it.
BIO* make_bytes_bio(tls_engine& engine);

/// A BIO that reads from a text, which must outlive it.
bio_owner read_bio(std::string_view text);
/// The certificates of a PEM text.
/// Throws: tls_error if a certificate is broken. `what` names the text.
std::vector<certificate_owner> parse_certificates(std::string_view pem, std::string_view what);
std::vector<crl_owner> parse_revocations(std::string_view pem, std::string_view what);
/// Throws: tls_error.
key_owner parse_key(std::string_view pem, std::string_view what);

tls::certificate describe_certificate(X509* certificate);
std::vector<std::string> names_in(X509* certificate);
/// Name of an owner in short: its common name, else its organization.
std::string short_name(const X509_NAME* name);
/// "2024-01-31"
std::string date_text(const ASN1_TIME* time);

/// A sentence about the certificate that was not accepted.
std::string certificate_problem(int code, int depth, X509* certificate, const std::string& host,
                                bool of_client);

}  // namespace detail
}  // namespace v0
}  // namespace rondo
