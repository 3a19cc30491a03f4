// SPDX-License-Identifier: MIT
// Certificates, made by the tests themselves: an authority that issues what a case needs.
#pragma once

#include <array>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

namespace rondo_tests {

/// A certificate and its key, as PEM texts.
struct identity {
    std::string chain, key;
};

/// Content of a certificate. Times are seconds from now.
struct certificate_wish {
    std::string common_name;
    std::string names;  // as OpenSSL writes them: "DNS:example.org,IP:127.0.0.1"; empty: none
    long from = -24 * 3600;
    long until = 365L * 24 * 3600;
    bool is_authority = false;
    int rsa_bits = 0;  // 0: an elliptic curve
    std::string use = "serverAuth,clientAuth";
};

namespace made_by_openssl {

struct deleter {
    void operator()(X509* p) const { X509_free(p); }
    void operator()(X509_CRL* p) const { X509_CRL_free(p); }
    void operator()(EVP_PKEY* p) const { EVP_PKEY_free(p); }
    void operator()(BIO* p) const { BIO_free(p); }
    void operator()(X509_EXTENSION* p) const { X509_EXTENSION_free(p); }
};
template <class T>
using owner = std::unique_ptr<T, deleter>;

inline void must(bool holds) {
    if (!holds) throw std::runtime_error("OpenSSL could not make a certificate");
}

template <class Write>
std::string text_by(Write write) {
    const owner<BIO> bio(BIO_new(BIO_s_mem()));
    must(bio != nullptr && write(bio.get()) == 1);
    char* bytes = nullptr;
    const long size = BIO_get_mem_data(bio.get(), &bytes);
    return std::string(bytes, static_cast<std::size_t>(size));
}

inline void add_extension(X509* to, X509* issuer, int kind, const std::string& value) {
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, to, nullptr, nullptr, 0);
    const owner<X509_EXTENSION> made(X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str()));
    must(made != nullptr && X509_add_ext(to, made.get(), -1) == 1);
}

inline owner<EVP_PKEY> make_key(int rsa_bits) {
    EVP_PKEY* const made =
        rsa_bits != 0 ? EVP_RSA_gen(static_cast<unsigned>(rsa_bits)) : EVP_EC_gen("P-256");
    must(made != nullptr);
    return owner<EVP_PKEY>(made);
}

}  // namespace made_by_openssl

/// An authority: self-signed, or below another.
class authority {
public:
    explicit authority(const std::string& name, const authority* above = nullptr)
        : key_(made_by_openssl::make_key(0)) {
        certificate_wish wish;
        wish.common_name = name;
        wish.is_authority = true;
        certificate_ = make(wish, key_.get(), above != nullptr ? *above : *this);
    }

    /// Its certificate, for those who are to trust it.
    std::string pem() const { return text(certificate_.get()); }

    /// A certificate below this authority. The chain has that certificate alone.
    identity issue(const certificate_wish& wish) const { return issue_for(wish, *this); }
    identity issue(const std::string& host) const {
        certificate_wish wish;
        wish.common_name = host;
        wish.names = "DNS:" + host;
        return issue(wish);
    }
    /// A certificate that its own key signs.
    static identity self_signed(const certificate_wish& wish) {
        const auto key = made_by_openssl::make_key(wish.rsa_bits);
        authority self(key.get());
        return {text(make(wish, key.get(), self).get()), text(key.get())};
    }

    /// A list of revocations with the first certificate of `pem`.
    std::string revoke(const std::string& pem) const {
        using namespace made_by_openssl;
        const owner<BIO> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
        const owner<X509> which(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
        const owner<X509_CRL> list(X509_CRL_new());
        X509_REVOKED* const entry = X509_REVOKED_new();
        ASN1_TIME* const now = X509_gmtime_adj(nullptr, 0);
        X509_CRL_set_version(list.get(), 1);
        X509_CRL_set_issuer_name(list.get(), X509_get_subject_name(certificate_.get()));
        X509_CRL_set1_lastUpdate(list.get(), now);
        X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(which.get()));
        X509_REVOKED_set_revocationDate(entry, now);
        X509_CRL_add0_revoked(list.get(), entry);
        X509_gmtime_adj(now, 24 * 3600);
        X509_CRL_set1_nextUpdate(list.get(), now);
        ASN1_TIME_free(now);
        must(X509_CRL_sign(list.get(), key_.get(), EVP_sha256()) > 0);
        return text_by([&](BIO* to) { return PEM_write_bio_X509_CRL(to, list.get()); });
    }

private:
    explicit authority(EVP_PKEY* key) : key_(key) { EVP_PKEY_up_ref(key); }

    static std::string text(X509* certificate) {
        return made_by_openssl::text_by(
            [&](BIO* to) { return PEM_write_bio_X509(to, certificate); });
    }
    static std::string text(EVP_PKEY* key) {
        return made_by_openssl::text_by([&](BIO* to) {
            return PEM_write_bio_PrivateKey(to, key, nullptr, nullptr, 0, nullptr, nullptr);
        });
    }
    static identity issue_for(const certificate_wish& wish, const authority& by) {
        const auto key = made_by_openssl::make_key(wish.rsa_bits);
        return {text(make(wish, key.get(), by).get()), text(key.get())};
    }

    /// `by` without a certificate signs for itself.
    static made_by_openssl::owner<X509> make(const certificate_wish& wish, EVP_PKEY* key,
                                             const authority& by) {
        using namespace made_by_openssl;
        static long serial = 1000;
        owner<X509> made(X509_new());
        X509* const certificate = made.get();
        X509* const issuer = by.certificate_ ? by.certificate_.get() : certificate;
        X509_set_version(certificate, 2);
        ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++serial);
        X509_gmtime_adj(X509_getm_notBefore(certificate), wish.from);
        X509_gmtime_adj(X509_getm_notAfter(certificate), wish.until);
        const auto* const name = reinterpret_cast<const unsigned char*>(wish.common_name.c_str());
        X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_UTF8, name,
                                   -1, -1, 0);
        X509_set_issuer_name(certificate, X509_get_subject_name(issuer));
        X509_set_pubkey(certificate, key);
        add_extension(certificate, issuer, NID_basic_constraints,
                      wish.is_authority ? "critical,CA:TRUE" : "CA:FALSE");
        add_extension(certificate, issuer, NID_subject_key_identifier, "hash");
        if (issuer != certificate)
            add_extension(certificate, issuer, NID_authority_key_identifier, "keyid");
        if (!wish.is_authority && !wish.use.empty())
            add_extension(certificate, issuer, NID_ext_key_usage, wish.use);
        if (!wish.names.empty())
            add_extension(certificate, issuer, NID_subject_alt_name, wish.names);
        must(X509_sign(certificate, by.key_.get(), EVP_sha256()) > 0);
        return made;
    }

    made_by_openssl::owner<EVP_PKEY> key_;
    made_by_openssl::owner<X509> certificate_;
};

}  // namespace rondo_tests
