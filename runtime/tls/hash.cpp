// SPDX-License-Identifier: MIT
// Hashes by OpenSSL.
#ifdef RONDO_WITH_OPENSSL
#include "tls/hash.hpp"

#include <openssl/evp.h>

#include <rondo/tls_error.hpp>

#include "tls/openssl.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

std::string hash_text(const EVP_MD* kind, std::string_view bytes, const char* name) {
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    if (EVP_Digest(bytes.data(), bytes.size(), hash, &size, kind, nullptr) != 1)
        throw tls_error(std::string("no ") + name + ": " + take_openssl_error());
    std::string text;
    for (unsigned i = 0; i < size; ++i) {
        text += "0123456789abcdef"[hash[i] >> 4];
        text += "0123456789abcdef"[hash[i] & 15];
    }
    return text;
}

}  // namespace

std::string md5_text(std::string_view bytes) {
    init_openssl();
    return hash_text(EVP_md5(), bytes, "MD5");
}

std::string sha256_text(std::string_view bytes) {
    init_openssl();
    return hash_text(EVP_sha256(), bytes, "SHA-256");
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
#endif
