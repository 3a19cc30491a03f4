// SPDX-License-Identifier: MIT
// An SSL_CTX and what belongs to it: sessions to resume, the log of keys, the chooser of contexts.
#pragma once

#include <array>
#include <cstdio>
#include <list>
#include <mutex>
#include <string>
#include <utility>

#include "tls/openssl.hpp"
#include "tls/settings.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

/// Sessions of a client, by host. Bounded: the host that was used least recently goes first.
/// Thread: any.
class session_store {
public:
    static constexpr std::size_t most = 256;
    static constexpr std::size_t most_of_host = 4;

    /// Takes over `session`.
    void put(const std::string& host, session_owner session);
    /// Takes a session out: a ticket of TLS 1.3 is used once. Null if there is none.
    session_owner take(const std::string& host);
    std::size_t size();

private:
    std::mutex lock_;
    std::list<std::pair<std::string, session_owner>> sessions_;  // the newest first
};

class ssl_context {
public:
    explicit ssl_context(const tls_settings& settings);
    ssl_context(const ssl_context&) = delete;
    ssl_context& operator=(const ssl_context&) = delete;
    ~ssl_context();

    SSL_CTX* get() const noexcept { return ctx_.get(); }
    const tls_settings& settings() const noexcept { return settings_; }
    session_store& sessions() noexcept { return sessions_; }
    /// A server's: a session that was made with one context is not resumed with another.
    const std::array<unsigned char, 16>& id() const noexcept { return id_; }
    void log_key(const char* line) noexcept;

private:
    void set_versions();
    void set_trust();
    void set_identity();
    void set_sessions();
    void set_alpn();
    void open_key_log();

    tls_settings settings_;
    ctx_owner ctx_;
    session_store sessions_;
    std::array<unsigned char, 16> id_{};
    std::mutex log_lock_;
    std::FILE* log_ = nullptr;
};

// Callbacks, in engine.cpp: they find the engine by the SSL.
int on_verify(int ok, X509_STORE_CTX* store) noexcept;
int on_new_session(SSL* ssl, SSL_SESSION* session) noexcept;
int on_client_hello(SSL* ssl, int* alert, void* word) noexcept;
int on_choose_alpn(SSL* ssl, const unsigned char** out, unsigned char* out_size,
                   const unsigned char* in, unsigned in_size, void* word) noexcept;

}  // namespace detail
}  // namespace v0
}  // namespace rondo
