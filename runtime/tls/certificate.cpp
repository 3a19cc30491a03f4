// SPDX-License-Identifier: MIT
// Certificates as their parts, and what is wrong with one in words.
#include "tls/settings.hpp"

#ifdef RONDO_WITH_OPENSSL
#include <arpa/inet.h>

#include <array>
#include <ctime>

#include "tls/openssl.hpp"
#endif

namespace rondo {
inline namespace v0 {
namespace tls {

struct certificate::parts {
    std::string subject, issuer, serial, fingerprint, pem;
    std::vector<std::string> names;
    time not_before, not_after;
};

const std::string& certificate::subject() const noexcept { return parts_->subject; }
const std::string& certificate::issuer() const noexcept { return parts_->issuer; }
const std::vector<std::string>& certificate::names() const noexcept { return parts_->names; }
certificate::time certificate::not_before() const noexcept { return parts_->not_before; }
certificate::time certificate::not_after() const noexcept { return parts_->not_after; }
const std::string& certificate::serial() const noexcept { return parts_->serial; }
const std::string& certificate::fingerprint() const noexcept { return parts_->fingerprint; }
const std::string& certificate::pem() const noexcept { return parts_->pem; }

}  // namespace tls

#ifdef RONDO_WITH_OPENSSL

namespace detail {

namespace {

std::string text_in(BIO* bio) {
    char* bytes = nullptr;
    const long size = BIO_get_mem_data(bio, &bytes);
    return std::string(bytes, static_cast<std::size_t>(size));
}

bio_owner write_bio() {
    bio_owner bio(BIO_new(BIO_s_mem()));
    if (!bio) throw std::bad_alloc();
    return bio;
}

std::string whole_name(const X509_NAME* name) {
    const bio_owner bio = write_bio();
    X509_NAME_print_ex(bio.get(), name, 0, XN_FLAG_ONELINE & ~ASN1_STRFLGS_ESC_MSB);
    return text_in(bio.get());
}

std::string hex(const unsigned char* bytes, std::size_t size) {
    constexpr char digits[] = "0123456789abcdef";
    std::string text;
    for (std::size_t i = 0; i < size; ++i) {
        text += digits[bytes[i] >> 4];
        text += digits[bytes[i] & 15];
    }
    return text;
}

tls::certificate::time moment(const ASN1_TIME* time) {
    std::tm parts{};
    if (ASN1_TIME_to_tm(time, &parts) != 1) return {};
    return std::chrono::system_clock::from_time_t(::timegm(&parts));
}

/// Text of one alternative name; empty for a kind that is no host.
std::string host_text(const GENERAL_NAME& name) {
    if (name.type == GEN_DNS) {
        const ASN1_STRING* const text = name.d.dNSName;
        return std::string(reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
                           static_cast<std::size_t>(ASN1_STRING_length(text)));
    }
    if (name.type != GEN_IPADD) return {};
    const int size = ASN1_STRING_length(name.d.iPAddress);
    std::array<char, INET6_ADDRSTRLEN> text{};
    const int family = size == 4 ? AF_INET : AF_INET6;
    if (size != 4 && size != 16) return {};
    ::inet_ntop(family, ASN1_STRING_get0_data(name.d.iPAddress), text.data(), text.size());
    return text.data();
}

}  // namespace

std::vector<std::string> names_in(X509* certificate) {
    std::vector<std::string> all;
    const names_owner names(static_cast<GENERAL_NAMES*>(
        X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
    for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i) {
        std::string text = host_text(*sk_GENERAL_NAME_value(names.get(), i));
        if (!text.empty()) all.push_back(std::move(text));
    }
    return all;
}

std::string short_name(const X509_NAME* name) {
    for (const int part : {NID_commonName, NID_organizationName}) {
        const int at = X509_NAME_get_index_by_NID(name, part, -1);
        if (at < 0) continue;
        unsigned char* text = nullptr;
        const int size =
            ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
        if (size < 0) continue;
        std::string value(reinterpret_cast<const char*>(text), static_cast<std::size_t>(size));
        OPENSSL_free(text);
        return value;
    }
    return whole_name(name);
}

std::string date_text(const ASN1_TIME* time) {
    std::tm parts{};
    if (ASN1_TIME_to_tm(time, &parts) != 1) return "an unreadable date";
    std::array<char, 64> text{};
    std::strftime(text.data(), text.size(), "%Y-%m-%d", &parts);
    return text.data();
}

tls::certificate describe_certificate(X509* certificate) {
    auto all = std::make_shared<tls::certificate::parts>();
    all->subject = whole_name(X509_get_subject_name(certificate));
    all->issuer = whole_name(X509_get_issuer_name(certificate));
    all->names = names_in(certificate);
    all->not_before = moment(X509_get0_notBefore(certificate));
    all->not_after = moment(X509_get0_notAfter(certificate));
    const ASN1_INTEGER* const serial = X509_get0_serialNumber(certificate);
    all->serial = hex(ASN1_STRING_get0_data(serial),
                      static_cast<std::size_t>(ASN1_STRING_length(serial)));
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned size = 0;
    X509_digest(certificate, EVP_sha256(), digest.data(), &size);
    all->fingerprint = hex(digest.data(), size);
    const bio_owner bio = write_bio();
    PEM_write_bio_X509(bio.get(), certificate);
    all->pem = text_in(bio.get());
    ERR_clear_error();
    return tls::certificate(std::move(all));
}

// -- what is wrong with one -----------------------------------------------------------------------

namespace {

std::string key_text(X509* certificate) {
    const EVP_PKEY* const key = X509_get0_pubkey(certificate);
    if (key == nullptr) return "unknown";
    const char* const kind = EVP_PKEY_get0_type_name(key);
    return std::string(kind != nullptr ? kind : "a key") + " of " +
           std::to_string(EVP_PKEY_get_bits(key)) + " bits";
}

std::string mismatch(X509* certificate, const std::string& host) {
    std::string text = "host name mismatch: wanted " + host + ", certificate ";
    const std::vector<std::string> names = names_in(certificate);
    if (names.empty())
        return text + "names no host (its common name \"" +
               short_name(X509_get_subject_name(certificate)) + "\" does not count)";
    text += "is for ";
    constexpr std::size_t most = 8;
    for (std::size_t i = 0; i < names.size() && i < most; ++i)
        text += (i == 0 ? "" : ", ") + names[i];
    if (names.size() > most) text += " and " + std::to_string(names.size() - most) + " more";
    return text;
}

}  // namespace

std::string certificate_problem(int code, int depth, X509* certificate, const std::string& host,
                                bool of_client) {
    if (certificate == nullptr) return X509_verify_cert_error_string(code);
    const std::string subject = short_name(X509_get_subject_name(certificate));
    const std::string issuer = short_name(X509_get_issuer_name(certificate));
    std::string who = "certificate of ";
    if (depth > 0)
        who += "the authority " + subject;
    else if (of_client)
        who += "the client " + subject;
    else
        who += host.empty() ? subject : host;
    switch (code) {
        case X509_V_ERR_CERT_HAS_EXPIRED:
            return who + " has expired (" + date_text(X509_get0_notAfter(certificate)) + ")";
        case X509_V_ERR_CERT_NOT_YET_VALID:
            return who + " is not valid yet (from " + date_text(X509_get0_notBefore(certificate)) +
                   ")";
        case X509_V_ERR_HOSTNAME_MISMATCH:
        case X509_V_ERR_IP_ADDRESS_MISMATCH:
            return mismatch(certificate, host);
        case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
            return who + " is self-signed and not trusted";
        case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
            return who + " is not trusted";
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
        case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
            return who + " is not trusted: its issuer " + issuer +
                   " is unknown (not trusted, or missing in the chain that the peer sent)";
        case X509_V_ERR_CERT_REVOKED:
            return who + " was revoked";
        case X509_V_ERR_UNABLE_TO_GET_CRL:
            return who + " cannot be checked: there is no list of revocations of " + issuer;
        case X509_V_ERR_CRL_HAS_EXPIRED:
            return who + " cannot be checked: the list of revocations of " + issuer +
                   " has expired";
        case X509_V_ERR_EE_KEY_TOO_SMALL:
        case X509_V_ERR_CA_KEY_TOO_SMALL:
            return who + " has a key that is too weak (" + key_text(certificate) + ")";
        case X509_V_ERR_CA_MD_TOO_WEAK:
            return who + " is signed with a digest that is too weak";
        case X509_V_ERR_INVALID_PURPOSE:
            return who + " was not issued for this use";
        default:
            return who + ": " + X509_verify_cert_error_string(code);
    }
}

}  // namespace detail

namespace tls {

certificate certificate::from_text(std::string_view pem) {
    const auto all = detail::parse_certificates(pem, {});
    if (all.empty()) throw tls_error("certificate", "text", "there is no certificate in it");
    return detail::describe_certificate(all.front().get());
}

}  // namespace tls
#endif

}  // namespace v0
}  // namespace rondo
