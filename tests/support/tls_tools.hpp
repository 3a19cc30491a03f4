// SPDX-License-Identifier: MIT
// Pairs of TLS streams for tests, over memory and over TCP, with an authority and a certificate of
// localhost that are made once.
#pragma once

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>

#include <rondo/gather.hpp>
#include <rondo/memory_stream.hpp>
#include <rondo/tls.hpp>

#include "support/certificates.hpp"
#include "support/core_tools.hpp"
#include "support/net_tools.hpp"

namespace rondo_tests {

/// The authority that tests trust.
inline const authority& test_authority() {
    static const authority one("rondo's test authority");
    return one;
}
inline identity localhost_identity() {
    certificate_wish wish;
    wish.common_name = "localhost";
    wish.names = "DNS:localhost,IP:127.0.0.1,IP:::1";
    return test_authority().issue(wish);
}
/// Contexts that all tests share, as programs do.
inline const tls::server_context& localhost_context() {
    static const tls::server_context one = [] {
        const identity own = localhost_identity();
        return tls::server_context::from_text(own.chain, own.key);
    }();
    return one;
}
inline const tls::client_context& trusting_context() {
    static const tls::client_context one =
        tls::client_context().trust_text(test_authority().pem());
    return one;
}

class tls_pair {
public:
    tls_stream client, server;
    tls_pair(tls_stream c, tls_stream s) : client(std::move(c)), server(std::move(s)) {}
};

/// Makes both handshakes over a pair of connected streams.
template <class S>
task<tls_pair> tls_over(S client_end, S server_end,
                        tls::client_context client = trusting_context(),
                        tls::server_context server = localhost_context()) {
    auto both = gather(start_tls(std::move(client_end), client, "localhost"),
                       start_tls(std::move(server_end), server));
    auto ends = co_await std::move(both);
    co_return tls_pair(std::move(std::get<0>(ends)), std::move(std::get<1>(ends)));
}

inline task<tls_pair> tls_over_memory(tls::client_context client = trusting_context(),
                                      tls::server_context server = localhost_context(),
                                      memory_stream_options options = {}) {
    auto ends = memory_stream::pair(options);
    return tls_over(std::move(ends.first), std::move(ends.second), std::move(client),
                    std::move(server));
}

inline task<tls_pair> tls_over_tcp(tls::client_context client = trusting_context(),
                                   tls::server_context server = localhost_context()) {
    auto ends = co_await connect_pair();
    auto made = tls_over(std::move(ends.client), std::move(ends.server), client, server);
    co_return co_await std::move(made);
}

// -- files ----------------------------------------------------------------------------------------

/// A folder of the real file system: certificates are read with plain calls, also on the simulator.
class real_folder {
public:
    real_folder() {
        std::string name = (std::filesystem::temp_directory_path() / "rondo-tls-XXXXXX").string();
        REQUIRE(::mkdtemp(name.data()) != nullptr);
        path_ = name;
    }
    real_folder(const real_folder&) = delete;
    real_folder& operator=(const real_folder&) = delete;
    ~real_folder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    /// Writes a file. Returns: its path.
    std::string put(const std::string& name, const std::string& text) const {
        const std::string path = path_ + '/' + name;
        std::ofstream(path) << text;
        return path;
    }
    const std::string& path() const { return path_; }

private:
    std::string path_;
};

// -- what went wrong ------------------------------------------------------------------------------

/// The errors of both sides of a handshake; empty if there was none.
struct said_by_both {
    std::string client, server;
};

inline task<> shake_and_note(task<tls_stream> connecting, std::string* said) {
    try {
        tls_stream stream = co_await std::move(connecting);
        // TLS 1.3: the server's refusal of a client comes after the client's handshake.
        co_await stream.write_all("x");
        std::string one = co_await stream.read_exactly(std::size_t(1));
        co_await stream.close();
    } catch (const std::exception& error) {
        *said = error.what();
    }
}

/// A handshake over memory, and a byte in each direction.
inline task<said_by_both> try_handshake(tls::client_context client, tls::server_context server,
                                        std::string host = "localhost") {
    auto ends = memory_stream::pair();
    said_by_both said;
    auto both = gather(
        shake_and_note(start_tls(std::move(ends.first), client, host), &said.client),
        shake_and_note(start_tls(std::move(ends.second), server), &said.server));
    co_await std::move(both);
    co_return said;
}

inline tls::server_context context_of(const identity& own) {
    return tls::server_context::from_text(own.chain, own.key);
}

// -- a peer by OpenSSL alone ----------------------------------------------------------------------

/// One end of a connection in memory, driven by OpenSSL without rondo's TLS: for what rondo's side
/// never does.
class raw_peer {
public:
    raw_peer(memory_stream stream, SSL_CTX* context, bool is_server)
        : stream_(std::move(stream)), ssl_(SSL_new(context)) {
        SSL_set_bio(ssl_.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
        BIO_set_mem_eof_return(SSL_get_rbio(ssl_.get()), -1);
        is_server ? SSL_set_accept_state(ssl_.get()) : SSL_set_connect_state(ssl_.get());
    }
    SSL* ssl() const { return ssl_.get(); }
    memory_stream& stream() { return stream_; }

    /// Repeats `step`, which calls OpenSSL, until it gives 1 or fails. Returns: what it gave.
    template <class Step>
    task<int> drive(Step step) {
        for (;;) {
            const int result = step();
            const int error = SSL_get_error(ssl_.get(), result);
            co_await send();
            if (result > 0 || error != SSL_ERROR_WANT_READ) co_return result;
            std::array<char, 4096> bytes;
            const chunk some = co_await stream_.read_some(bytes);
            if (!some) co_return 0;
            BIO_write(SSL_get_rbio(ssl_.get()), some.data(), static_cast<int>(some.size()));
        }
    }
    task<int> handshake() {
        return drive([ssl = ssl_.get()] { return SSL_do_handshake(ssl); });
    }
    task<> write(std::string text) {
        SSL_write(ssl_.get(), text.data(), static_cast<int>(text.size()));
        co_await send();
    }
    task<std::string> read(std::size_t size) {
        std::string text(size, '\0');
        char* const to = text.data();
        SSL* const ssl = ssl_.get();
        auto reading =
            drive([ssl, to, size] { return SSL_read(ssl, to, static_cast<int>(size)); });
        const int got = co_await std::move(reading);
        text.resize(static_cast<std::size_t>(std::max(0, got)));
        co_return text;
    }
    /// Sends what OpenSSL has put out.
    task<> send() {
        char* bytes = nullptr;
        BIO* const out = SSL_get_wbio(ssl_.get());
        const long size = BIO_get_mem_data(out, &bytes);
        const std::string all(bytes, static_cast<std::size_t>(size));
        BIO_reset(out);
        if (!all.empty()) co_await stream_.write_all(all);
    }

private:
    struct free_ssl {
        void operator()(SSL* ssl) const { SSL_free(ssl); }
    };
    memory_stream stream_;
    std::unique_ptr<SSL, free_ssl> ssl_;
};

struct free_ctx {
    void operator()(SSL_CTX* ctx) const { SSL_CTX_free(ctx); }
};
using raw_context = std::unique_ptr<SSL_CTX, free_ctx>;

/// A server's context that takes keys and versions that rondo refuses.
inline raw_context lax_server(const identity& own) {
    raw_context ctx(SSL_CTX_new(TLS_server_method()));
    SSL_CTX_set_security_level(ctx.get(), 0);
    SSL_CTX_set_min_proto_version(ctx.get(), TLS1_VERSION);
    made_by_openssl::owner<BIO> chain(BIO_new_mem_buf(own.chain.data(), -1));
    made_by_openssl::owner<BIO> key(BIO_new_mem_buf(own.key.data(), -1));
    made_by_openssl::owner<X509> first(PEM_read_bio_X509(chain.get(), nullptr, nullptr, nullptr));
    made_by_openssl::owner<EVP_PKEY> secret(
        PEM_read_bio_PrivateKey(key.get(), nullptr, nullptr, nullptr));
    made_by_openssl::must(SSL_CTX_use_certificate(ctx.get(), first.get()) == 1 &&
                          SSL_CTX_use_PrivateKey(ctx.get(), secret.get()) == 1);
    return ctx;
}

}  // namespace rondo_tests
