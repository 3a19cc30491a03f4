// SPDX-License-Identifier: MIT
// State behind the public contexts: plain settings, and what OpenSSL makes of them on first use.
// This header names nothing of OpenSSL, so that the library builds without it.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include <rondo/tls_context.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

class ssl_context;  // an SSL_CTX, in ssl_context.cpp

/// Settings of either side.
struct tls_settings {
    bool is_server = false;
    bool system_trust = true;
    bool verifies = true;          // a server: asks for a certificate of the client
    bool requires_peer = true;     // a server: refuses clients without a certificate
    bool resumes = true;
    tls::version minimum = tls::version::tls_1_2;
    std::vector<std::string> trusted;  // PEM texts
    std::vector<std::string> revocations;
    std::string chain, key;            // PEM texts
    std::string chain_path, key_path;  // empty if they came as texts
    std::string alpn;                  // as on the wire: each name after its length
    std::string server_name;
    std::string key_log;  // path
    std::shared_ptr<tls::name_chooser> chooser;
};

struct tls_context_state {
    tls_settings settings;
    std::mutex lock;                       // of `built`, and of the settings while reload runs
    std::shared_ptr<ssl_context> built;    // null until the first connection

    /// The SSL_CTX of the settings, made on first use.
    std::shared_ptr<ssl_context> get();
};

/// The only way from the public classes to their state.
struct tls_access {
    /// The state of a context; of the default client context if it has none.
    static std::shared_ptr<tls_context_state> state(const tls::client_context& context);
    static const std::shared_ptr<tls_context_state>& state(const tls::server_context& context) {
        return context.state_;
    }
    /// The settings, to be changed: of a new state if the old one is in use.
    template <class Context>
    static tls_settings& change(Context& context) {
        auto& state = context.state_;
        if (!state || state.use_count() > 1 || state->built) {
            auto fresh = std::make_shared<tls_context_state>();
            if (state) {
                const std::lock_guard guard(state->lock);
                fresh->settings = state->settings;
            }
            state = std::move(fresh);
        }
        return state->settings;
    }
    static tls::server_context make_server(std::shared_ptr<tls_context_state> state) {
        tls::server_context context;
        context.state_ = std::move(state);
        return context;
    }
};

/// "h2,http/1.1" as on the wire. Throws: std::invalid_argument.
std::string alpn_on_wire(const std::vector<std::string_view>& names);
std::string alpn_on_wire(std::string_view names_with_commas);

// -- by OpenSSL; without it these throw (missing.cpp) ---------------------------------------------

/// Throws: tls_error for settings that do not fit together.
std::shared_ptr<ssl_context> build_ssl_context(const tls_settings& settings);
/// Throws tls_error if the text has no certificate. `what` names its origin.
void check_certificates(const std::string& pem, std::string_view what);
void check_revocations(const std::string& pem, std::string_view what);
/// Throws tls_error if the key is not the certificate's. The paths name them; empty for texts.
void check_identity(const std::string& chain, const std::string& key, std::string_view chain_path,
                    std::string_view key_path);

}  // namespace detail
}  // namespace v0
}  // namespace rondo
