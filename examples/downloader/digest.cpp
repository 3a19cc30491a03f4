// SPDX-License-Identifier: MIT
// Reads and hashes. The file's position is not used: another task may write it.
#include "digest.hpp"

#include <array>
#include <cerrno>
#include <memory>
#include <system_error>

#include <fmt/core.h>
#include <unistd.h>

#include "failure.hpp"

#ifdef RONDO_GET_WITH_OPENSSL
#include <openssl/evp.h>
#endif

namespace downloader {

#ifdef RONDO_GET_WITH_OPENSSL

std::string sha256_of(int number) {
    struct freer {
        void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
    };
    const std::unique_ptr<EVP_MD_CTX, freer> context(EVP_MD_CTX_new());
    if (!context || EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) != 1)
        throw refused("OpenSSL has no SHA-256");
    constexpr std::size_t piece = 256 * 1024;
    const auto buffer = std::make_unique_for_overwrite<char[]>(piece);
    off_t at = 0;
    for (;;) {
        const auto size = ::pread(number, buffer.get(), piece, at);
        if (size < 0 && errno == EINTR) continue;
        if (size < 0) throw std::system_error(errno, std::generic_category(), "read");
        if (size == 0) break;
        EVP_DigestUpdate(context.get(), buffer.get(), static_cast<std::size_t>(size));
        at += size;
    }
    std::array<unsigned char, EVP_MAX_MD_SIZE> sum{};
    unsigned length = 0;
    EVP_DigestFinal_ex(context.get(), sum.data(), &length);
    std::string text;
    for (unsigned i = 0; i < length; ++i) text += fmt::format("{:02x}", sum[i]);
    return text;
}

#else

std::string sha256_of(int) {
    throw refused("SHA-256 needs OpenSSL: build rondo-get with libssl-dev installed");
}

#endif

}  // namespace downloader
