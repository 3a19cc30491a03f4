// SPDX-License-Identifier: MIT
// The library without OpenSSL: everything compiles and links, and the first use says what is
// missing.
#ifndef RONDO_WITH_OPENSSL
#include "tls/engine.hpp"
#include "tls/hash.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

[[noreturn]] void throw_missing() {
    throw tls_error(
        "rondo was built without TLS: install libssl-dev and build it again, without "
        "-Dopenssl=disabled");
}

}  // namespace

std::shared_ptr<ssl_context> build_ssl_context(const tls_settings&) { throw_missing(); }
void check_certificates(const std::string&, std::string_view) { throw_missing(); }
void check_revocations(const std::string&, std::string_view) { throw_missing(); }
void check_identity(const std::string&, const std::string&, std::string_view, std::string_view) {
    throw_missing();
}
std::unique_ptr<tls_engine> make_tls_engine(std::shared_ptr<ssl_context>, tls_engine_options) {
    throw_missing();
}

std::string md5_text(std::string_view) { throw_missing(); }
std::string sha256_text(std::string_view) { throw_missing(); }

}  // namespace detail

namespace tls {

certificate certificate::from_text(std::string_view) { detail::throw_missing(); }

}  // namespace tls
}  // namespace v0
}  // namespace rondo
#endif
