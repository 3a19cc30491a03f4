// SPDX-License-Identifier: MIT
// Settings become an SSL_CTX. Nothing of the process is changed: the system's store is named by its
// built-in path, not by the environment variables that OpenSSL would read.
#ifdef RONDO_WITH_OPENSSL
#include "tls/ssl_context.hpp"

#include <cerrno>
#include <new>
#include <system_error>

#include <openssl/rand.h>

namespace rondo {
inline namespace v0 {
namespace detail {

// -- sessions -------------------------------------------------------------------------------------

void session_store::put(const std::string& host, session_owner session) {
    const std::lock_guard guard(lock_);
    sessions_.emplace_front(host, std::move(session));
    std::size_t of_host = 0;
    for (auto each = sessions_.begin(); each != sessions_.end();)
        if (each->first == host && ++of_host > most_of_host)
            each = sessions_.erase(each);
        else
            ++each;
    if (sessions_.size() > most) sessions_.pop_back();
}

session_owner session_store::take(const std::string& host) {
    const std::lock_guard guard(lock_);
    for (auto each = sessions_.begin(); each != sessions_.end();) {
        if (each->first != host) {
            ++each;
            continue;
        }
        session_owner session = std::move(each->second);
        each = sessions_.erase(each);
        if (SSL_SESSION_is_resumable(session.get()) == 1) return session;
    }
    return nullptr;
}

std::size_t session_store::size() {
    const std::lock_guard guard(lock_);
    return sessions_.size();
}

// -- the context ----------------------------------------------------------------------------------

namespace {

/// Throws the error of a call that returned `result` <= 0.
void check(long result, std::string_view verb) {
    if (result <= 0) throw tls_error(verb, {}, take_openssl_error());
}

int version_number(tls::version which) noexcept {
    return which == tls::version::tls_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION;
}

void on_key_line(const SSL* ssl, const char* line) {
    void* const word = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    static_cast<ssl_context*>(word)->log_key(line);
}

}  // namespace

ssl_context::ssl_context(const tls_settings& settings) : settings_(settings) {
    init_openssl();
    ERR_clear_error();
    ctx_.reset(SSL_CTX_new(settings.is_server ? TLS_server_method() : TLS_client_method()));
    if (!ctx_) throw tls_error("context", {}, take_openssl_error());
    SSL_CTX_set_app_data(ctx_.get(), this);
    set_versions();
    if (settings.verifies) set_trust();
    set_identity();
    set_sessions();
    set_alpn();
    if (!settings.key_log.empty()) open_key_log();
    ERR_clear_error();
}

ssl_context::~ssl_context() {
    if (log_ != nullptr) std::fclose(log_);
}

void ssl_context::set_versions() {
    SSL_CTX* const ctx = ctx_.get();
    check(SSL_CTX_set_min_proto_version(ctx, version_number(settings_.minimum)), "context");
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    if (SSL_CTX_get_security_level(ctx) < 2) SSL_CTX_set_security_level(ctx, 2);
}

void ssl_context::set_trust() {
    SSL_CTX* const ctx = ctx_.get();
    X509_STORE* const store = SSL_CTX_get_cert_store(ctx);
    if (settings_.system_trust) {
        // A missing file is no error: one of the two is usual.
        X509_STORE_load_file(store, X509_get_default_cert_file());
        X509_STORE_load_path(store, X509_get_default_cert_dir());
        ERR_clear_error();
    }
    for (const std::string& text : settings_.trusted)
        for (const auto& one : parse_certificates(text, {})) {
            check(X509_STORE_add_cert(store, one.get()), "trust");
            // The names that a server lists when it asks a client for a certificate.
            if (settings_.is_server) check(SSL_CTX_add_client_CA(ctx, one.get()), "trust");
        }
    for (const std::string& text : settings_.revocations)
        for (const auto& one : parse_revocations(text, {}))
            check(X509_STORE_add_crl(store, one.get()), "revocations");
    X509_VERIFY_PARAM* const how = SSL_CTX_get0_param(ctx);
    // A trusted certificate need not be a root.
    X509_VERIFY_PARAM_set_flags(how, X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_TRUSTED_FIRST);
    if (!settings_.revocations.empty())
        X509_VERIFY_PARAM_set_flags(how, X509_V_FLAG_CRL_CHECK);
    X509_VERIFY_PARAM_set_hostflags(
        how, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    int mode = SSL_VERIFY_PEER;
    if (settings_.is_server && settings_.requires_peer) mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    SSL_CTX_set_verify(ctx, mode, on_verify);
}

void ssl_context::set_identity() {
    if (settings_.chain.empty()) return;
    SSL_CTX* const ctx = ctx_.get();
    auto chain = parse_certificates(settings_.chain, settings_.chain_path);
    const key_owner key = parse_key(settings_.key, settings_.key_path);
    const std::string origin = settings_.chain_path.empty() ? "text" : settings_.chain_path;
    if (SSL_CTX_use_certificate(ctx, chain.front().get()) <= 0 ||
        SSL_CTX_use_PrivateKey(ctx, key.get()) <= 0)
        throw tls_error("certificate", origin, take_openssl_error());
    for (std::size_t i = 1; i < chain.size(); ++i)
        if (SSL_CTX_add1_chain_cert(ctx, chain[i].get()) <= 0)
            throw tls_error("certificate", origin, take_openssl_error());
}

void ssl_context::set_sessions() {
    SSL_CTX* const ctx = ctx_.get();
    if (settings_.is_server) {
        // Tickets only: no memory of this process is kept for a client that may not come back.
        SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
        check(RAND_bytes(id_.data(), static_cast<int>(id_.size())), "context");
        SSL_CTX_set_session_id_context(ctx, id_.data(), static_cast<unsigned>(id_.size()));
        if (settings_.chooser) SSL_CTX_set_client_hello_cb(ctx, on_client_hello, nullptr);
    } else if (settings_.resumes) {
        SSL_CTX_set_session_cache_mode(ctx,
                                       SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
        SSL_CTX_sess_set_new_cb(ctx, on_new_session);
    } else {
        SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    }
}

void ssl_context::set_alpn() {
    if (settings_.is_server)
        SSL_CTX_set_alpn_select_cb(ctx_.get(), on_choose_alpn, this);
    else if (!settings_.alpn.empty())  // returns 0 for success
        SSL_CTX_set_alpn_protos(ctx_.get(),
                                reinterpret_cast<const unsigned char*>(settings_.alpn.data()),
                                static_cast<unsigned>(settings_.alpn.size()));
}

void ssl_context::open_key_log() {
    log_ = std::fopen(settings_.key_log.c_str(), "ae");
    if (log_ == nullptr)
        throw std::system_error(errno, std::system_category(), "key log " + settings_.key_log);
    SSL_CTX_set_keylog_callback(ctx_.get(), on_key_line);
}

void ssl_context::log_key(const char* line) noexcept {
    const std::lock_guard guard(log_lock_);
    if (log_ == nullptr) return;
    std::fprintf(log_, "%s\n", line);
    std::fflush(log_);
}

std::shared_ptr<ssl_context> build_ssl_context(const tls_settings& settings) {
    return std::make_shared<ssl_context>(settings);
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
#endif
