// SPDX-License-Identifier: MIT
// The engine over OpenSSL's SSL. The thread's queue of errors is cleared before each call: an error
// that other code left there would be taken for ours.
#ifdef RONDO_WITH_OPENSSL
#include "tls/engine.hpp"

#include <exception>
#include <limits>
#include <new>
#include <utility>

#include "tls/ssl_context.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

class openssl_engine final : public tls_engine {
public:
    openssl_engine(std::shared_ptr<ssl_context> context, tls_engine_options options);
    ~openssl_engine() override;

    tls_step handshake() override;
    tls_step read(buffer_view into, std::size_t& got) override;
    tls_step write(const_buffer data) override;
    void say_goodbye() override;

    std::string_view alpn() const noexcept override;
    tls::version version() const noexcept override;
    std::string_view cipher() const noexcept override;
    bool resumed() const noexcept override { return SSL_session_reused(ssl_.get()) == 1; }
    std::string_view server_name() const noexcept override;
    std::optional<tls::certificate> peer_certificate() const override;

    // -- for the callbacks -----------------------------------------------------------------------
    const tls_engine_options& options() const noexcept { return options_; }
    static openssl_engine& of(const SSL* ssl) {
        return *static_cast<openssl_engine*>(SSL_get_app_data(ssl));
    }
    void refuse(X509_STORE_CTX* store);
    bool keep_session(SSL_SESSION* session);
    void choose(std::string_view name);

private:
    bool is_server() const noexcept { return context_->settings().is_server; }
    void set_client_options();
    tls_step after(int result);
    tls_step fail(int error);

    std::shared_ptr<ssl_context> context_;
    std::shared_ptr<ssl_context> chosen_;  // by the name that the client asked for
    tls_engine_options options_;
    std::string problem_;  // of the certificate
    bool failed_ = false;
    ssl_owner ssl_;  // destroyed first
};

openssl_engine::openssl_engine(std::shared_ptr<ssl_context> context, tls_engine_options options)
    : context_(std::move(context)), options_(std::move(options)) {
    ERR_clear_error();
    ssl_.reset(SSL_new(context_->get()));
    if (!ssl_) throw tls_error("connection", {}, take_openssl_error());
    SSL_set_app_data(ssl_.get(), this);
    BIO* const bio = make_bytes_bio(*this);
    SSL_set_bio(ssl_.get(), bio, bio);
    SSL_set_read_ahead(ssl_.get(), 0);
    if (is_server()) {
        SSL_set_accept_state(ssl_.get());
    } else {
        SSL_set_connect_state(ssl_.get());
        set_client_options();
    }
}

/// OpenSSL would not resume a session whose connection ended without close_notify. TLS has dropped
/// that rule since 1.1 (RFC 4346, section 7.2.1).
openssl_engine::~openssl_engine() {
    if (!failed_) SSL_set_shutdown(ssl_.get(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
}

void openssl_engine::set_client_options() {
    SSL* const ssl = ssl_.get();
    const std::string& host = options_.host;
    X509_VERIFY_PARAM* const how = SSL_get0_param(ssl);
    const bool is_address = X509_VERIFY_PARAM_set1_ip_asc(how, host.c_str()) == 1;
    if (!host.empty() && !is_address) {  // RFC 6066: no address in the extension
        SSL_set_tlsext_host_name(ssl, host.c_str());
        X509_VERIFY_PARAM_set1_host(how, host.data(), host.size());
    }
    if (!options_.alpn.empty())
        SSL_set_alpn_protos(ssl, reinterpret_cast<const unsigned char*>(options_.alpn.data()),
                            static_cast<unsigned>(options_.alpn.size()));
    if (context_->settings().resumes && !options_.session.empty()) {
        const session_owner session = context_->sessions().take(options_.session);
        if (session) SSL_set_session(ssl, session.get());
    }
    ERR_clear_error();
}

// -- steps ----------------------------------------------------------------------------------------

tls_step openssl_engine::handshake() {
    if (failed_) return tls_step::failed;
    ERR_clear_error();
    return after(SSL_do_handshake(ssl_.get()));
}

tls_step openssl_engine::read(buffer_view into, std::size_t& got) {
    got = 0;
    if (failed_) return tls_step::failed;
    for (;;) {
        ERR_clear_error();
        std::size_t count = 0;
        const buffer_view rest = into.without_first(got);
        const tls_step step = after(SSL_read_ex(ssl_.get(), rest.data(), rest.size(), &count));
        got += count;
        // Bytes that were decrypted before an end or an error are returned first. Both stay.
        if (step != tls_step::done) return got != 0 ? tls_step::done : step;
        // Another record may be complete. If not, this is where OpenSSL finds out.
        if (got == into.size() || (input.empty() && SSL_has_pending(ssl_.get()) == 0))
            return tls_step::done;
    }
}

tls_step openssl_engine::write(const_buffer data) {
    if (failed_) return tls_step::failed;
    while (!data.empty()) {
        ERR_clear_error();
        std::size_t count = 0;
        const tls_step step = after(SSL_write_ex(ssl_.get(), data.data(), data.size(), &count));
        if (step != tls_step::done) return step == tls_step::failed ? step : fail(SSL_ERROR_SSL);
        data = data.without_first(count);
    }
    return tls_step::done;
}

void openssl_engine::say_goodbye() {
    if (failed_) return;
    ERR_clear_error();
    SSL_shutdown(ssl_.get());
    ERR_clear_error();
}

tls_step openssl_engine::after(int result) {
    if (result > 0) return tls_step::done;
    const int error = SSL_get_error(ssl_.get(), result);
    if (error == SSL_ERROR_ZERO_RETURN) return tls_step::closed;
    if (error != SSL_ERROR_WANT_READ) return fail(error);
    if (!input_ended) return tls_step::want_input;
    failed_ = true;
    const bool early = SSL_is_init_finished(ssl_.get()) == 0;
    failure = {tls_failure::kind::truncated,
               early ? "the peer ended the connection during the handshake"
                     : "the connection ended without a close_notify: bytes may be missing"};
    return tls_step::failed;
}

tls_step openssl_engine::fail(int error) {
    failed_ = true;
    failure.what = tls_failure::kind::protocol;
    if (!problem_.empty()) {
        failure = {tls_failure::kind::certificate, problem_};
    } else if (error == SSL_ERROR_SYSCALL && ERR_peek_error() == 0) {
        failure.reason = "no memory for a record";
    } else {
        if (ERR_GET_REASON(ERR_peek_error()) == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE)
            failure.what = tls_failure::kind::certificate;
        failure.reason = take_openssl_error();
    }
    ERR_clear_error();
    return tls_step::failed;
}

// -- what was negotiated --------------------------------------------------------------------------

std::string_view openssl_engine::alpn() const noexcept {
    const unsigned char* name = nullptr;
    unsigned size = 0;
    SSL_get0_alpn_selected(ssl_.get(), &name, &size);
    return {reinterpret_cast<const char*>(name), size};
}

tls::version openssl_engine::version() const noexcept {
    if (SSL_is_init_finished(ssl_.get()) == 0) return tls::version::none;
    const int number = SSL_version(ssl_.get());
    return number == TLS1_3_VERSION ? tls::version::tls_1_3 : tls::version::tls_1_2;
}

std::string_view openssl_engine::cipher() const noexcept {
    const SSL_CIPHER* const cipher = SSL_get_current_cipher(ssl_.get());
    return cipher != nullptr ? SSL_CIPHER_get_name(cipher) : "";
}

std::string_view openssl_engine::server_name() const noexcept {
    const char* const name = SSL_get_servername(ssl_.get(), TLSEXT_NAMETYPE_host_name);
    return name != nullptr ? name : "";
}

std::optional<tls::certificate> openssl_engine::peer_certificate() const {
    X509* const certificate = SSL_get0_peer_certificate(ssl_.get());
    if (certificate == nullptr) return std::nullopt;
    return describe_certificate(certificate);
}

// -- callbacks ------------------------------------------------------------------------------------

void openssl_engine::refuse(X509_STORE_CTX* store) {
    const int code = X509_STORE_CTX_get_error(store);
    problem_ = certificate_problem(code, X509_STORE_CTX_get_error_depth(store),
                                   X509_STORE_CTX_get_current_cert(store), options_.host,
                                   is_server());
}

bool openssl_engine::keep_session(SSL_SESSION* session) {
    if (options_.session.empty()) return false;
    context_->sessions().put(options_.session, session_owner(session));
    return true;
}

/// Changes the context of the SSL, and what SSL_set_SSL_CTX leaves as it was.
void openssl_engine::choose(std::string_view name) {
    const auto context = context_->settings().chooser->choose(name);
    if (!context) return;
    SSL* const ssl = ssl_.get();
    chosen_ = tls_access::state(*context)->get();
    SSL_CTX* const ctx = chosen_->get();
    if (SSL_set_SSL_CTX(ssl, ctx) == nullptr) throw std::bad_alloc();
    SSL_set_verify(ssl, SSL_CTX_get_verify_mode(ctx), SSL_CTX_get_verify_callback(ctx));
    X509_VERIFY_PARAM_set1(SSL_get0_param(ssl), SSL_CTX_get0_param(ctx));
    SSL_set_min_proto_version(ssl, static_cast<int>(SSL_CTX_get_min_proto_version(ctx)));
    // A session of another name's context must not get around this one's check of the client.
    SSL_set_session_id_context(ssl, chosen_->id().data(),
                               static_cast<unsigned>(chosen_->id().size()));
}

/// The name in the extension server_name (RFC 6066): a list with one name of type 0.
std::string_view name_in_hello(SSL* ssl) {
    const unsigned char* bytes = nullptr;
    std::size_t size = 0;
    if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &bytes, &size) != 1) return {};
    constexpr std::size_t head = 5;  // length of the list, type, length of the name
    if (size < head || bytes[2] != TLSEXT_NAMETYPE_host_name) return {};
    const std::size_t length = static_cast<std::size_t>(bytes[3] << 8 | bytes[4]);
    if (length > size - head) return {};
    return {reinterpret_cast<const char*>(bytes) + head, length};
}

}  // namespace

int on_verify(int ok, X509_STORE_CTX* store) noexcept {
    if (ok == 1) return 1;
    try {
        const void* const ssl =
            X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
        openssl_engine::of(static_cast<const SSL*>(ssl)).refuse(store);
    } catch (...) {  // no memory for the sentence
    }
    return 0;
}

int on_new_session(SSL* ssl, SSL_SESSION* session) noexcept {
    try {
        return openssl_engine::of(ssl).keep_session(session) ? 1 : 0;
    } catch (...) {  // no memory: the session was freed, as if it had been taken
        return 1;
    }
}

int on_client_hello(SSL* ssl, int* alert, void*) noexcept {
    try {
        const std::string_view name = name_in_hello(ssl);
        if (!name.empty()) openssl_engine::of(ssl).choose(name);
        return SSL_CLIENT_HELLO_SUCCESS;
    } catch (...) {
        *alert = SSL_AD_UNRECOGNIZED_NAME;
        return SSL_CLIENT_HELLO_ERROR;
    }
}

int on_choose_alpn(SSL* ssl, const unsigned char** out, unsigned char* out_size,
                   const unsigned char* in, unsigned in_size, void* word) noexcept {
    const std::string& of_context = static_cast<const ssl_context*>(word)->settings().alpn;
    const std::string& of_listener = openssl_engine::of(ssl).options().alpn;
    const std::string& ours = of_context.empty() ? of_listener : of_context;
    if (ours.empty()) return SSL_TLSEXT_ERR_NOACK;
    unsigned char* chosen = nullptr;
    const int found = SSL_select_next_proto(
        &chosen, out_size, reinterpret_cast<const unsigned char*>(ours.data()),
        static_cast<unsigned>(ours.size()), in, in_size);
    if (found != OPENSSL_NPN_NEGOTIATED)
        return of_context.empty() ? SSL_TLSEXT_ERR_NOACK : SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

std::unique_ptr<tls_engine> make_tls_engine(std::shared_ptr<ssl_context> context,
                                            tls_engine_options options) {
    return std::make_unique<openssl_engine>(std::move(context), std::move(options));
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
#endif
