// SPDX-License-Identifier: MIT
// OpenSSL's errors in words, and its parsers of PEM.
#ifdef RONDO_WITH_OPENSSL
#include "tls/settings.hpp"

#include "tls/openssl.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

void init_openssl() { OPENSSL_init_ssl(OPENSSL_INIT_NO_ATEXIT, nullptr); }

namespace {

/// Name of an alert. OpenSSL 3.0 does not know all names of TLS 1.3.
const char* alert_name(int number) {
    switch (number) {
        case SSL_AD_CERTIFICATE_REQUIRED: return "certificate required";
        case SSL_AD_MISSING_EXTENSION: return "missing extension";
        default: return SSL_alert_desc_string_long(number);
    }
}

}  // namespace

std::string text_of_openssl_error(unsigned long code) {
    const int reason = ERR_GET_REASON(code);
    // An alert that came is SSL_AD_REASON_OFFSET and its number.
    if (ERR_GET_LIB(code) == ERR_LIB_SSL && reason > SSL_AD_REASON_OFFSET)
        return std::string("the peer sent the alert \"") +
               alert_name(reason - SSL_AD_REASON_OFFSET) + '"';
    if (ERR_GET_LIB(code) == ERR_LIB_SSL) switch (reason) {
            case SSL_R_WRONG_VERSION_NUMBER:
            case SSL_R_HTTP_REQUEST:
            case SSL_R_HTTPS_PROXY_REQUEST:
                return std::string("the peer does not speak TLS (") +
                       ERR_reason_error_string(code) + ')';
            default: break;
        }
    const char* const text = ERR_reason_error_string(code);
    if (text != nullptr) return text;
    return "error " + std::to_string(code) + " of OpenSSL";
}

std::string take_openssl_error() {
    const unsigned long code = ERR_peek_error();  // the oldest is the cause
    ERR_clear_error();
    return code != 0 ? text_of_openssl_error(code) : "unknown error of OpenSSL";
}

bio_owner read_bio(std::string_view text) {
    bio_owner bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
    if (!bio) throw std::bad_alloc();
    return bio;
}

namespace {

/// True if the queue says that the text had no further block, which is no error.
bool at_end_of_pem() {
    const unsigned long code = ERR_peek_last_error();
    const bool at_end =
        ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE;
    if (at_end) ERR_clear_error();
    return at_end;
}

std::string quoted_origin(std::string_view what) {
    return what.empty() ? std::string("text") : std::string(what);
}

/// A key with a passphrase must not ask for it on the terminal.
int refuse_passphrase(char*, int, int, void*) { return -1; }

}  // namespace

std::vector<certificate_owner> parse_certificates(std::string_view pem, std::string_view what) {
    ERR_clear_error();
    const bio_owner bio = read_bio(pem);
    std::vector<certificate_owner> all;
    while (X509* const one = PEM_read_bio_X509_AUX(bio.get(), nullptr, refuse_passphrase, nullptr))
        all.emplace_back(one);
    if (!at_end_of_pem())
        throw tls_error("certificate", quoted_origin(what),
                        "it cannot be read: " + take_openssl_error());
    return all;
}

std::vector<crl_owner> parse_revocations(std::string_view pem, std::string_view what) {
    ERR_clear_error();
    const bio_owner bio = read_bio(pem);
    std::vector<crl_owner> all;
    while (X509_CRL* const one =
               PEM_read_bio_X509_CRL(bio.get(), nullptr, refuse_passphrase, nullptr))
        all.emplace_back(one);
    if (!at_end_of_pem())
        throw tls_error("revocations", quoted_origin(what),
                        "they cannot be read: " + take_openssl_error());
    return all;
}

key_owner parse_key(std::string_view pem, std::string_view what) {
    ERR_clear_error();
    const bio_owner bio = read_bio(pem);
    key_owner key(PEM_read_bio_PrivateKey(bio.get(), nullptr, refuse_passphrase, nullptr));
    if (!key && pem.find("ENCRYPTED") != pem.npos) {
        ERR_clear_error();
        throw tls_error("key", quoted_origin(what), "it is locked with a passphrase");
    }
    if (!key && pem.find("PRIVATE KEY-----") == pem.npos)
        throw tls_error("key", quoted_origin(what), "there is no private key in it");
    if (!key)
        throw tls_error("key", quoted_origin(what), "it cannot be read: " + take_openssl_error());
    return key;
}

void check_certificates(const std::string& pem, std::string_view what) {
    if (parse_certificates(pem, what).empty())
        throw tls_error("trust", quoted_origin(what), "there is no certificate in it");
}

void check_revocations(const std::string& pem, std::string_view what) {
    if (parse_revocations(pem, what).empty())
        throw tls_error("revocations", quoted_origin(what), "there is no list in it");
}

void check_identity(const std::string& chain, const std::string& key, std::string_view chain_path,
                    std::string_view key_path) {
    const auto certificates = parse_certificates(chain, chain_path);
    if (certificates.empty())
        throw tls_error("certificate", quoted_origin(chain_path), "there is no certificate in it");
    const key_owner own = parse_key(key, key_path);
    ERR_clear_error();
    if (X509_check_private_key(certificates.front().get(), own.get()) != 1) {
        ERR_clear_error();
        throw tls_error("key", quoted_origin(key_path),
                        "it does not belong to the first certificate of " +
                            quoted_origin(chain_path));
    }
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
#endif
