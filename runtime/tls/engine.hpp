// SPDX-License-Identifier: MIT
// The protocol without input and output: bytes in, bytes out. Received bytes go into `input`; bytes
// to send come into `output`. A function that needs more input says want_input; it can be called
// again with any part of it.
//
// This header names nothing of OpenSSL. See engine.cpp, and bytes_bio.cpp for how OpenSSL reaches
// the two buffers without a copy of its own.
#pragma once

#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <rondo/buffered.hpp>
#include <rondo/tls_context.hpp>

#include "tls/settings.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

/// Outcome of a step of the engine.
enum class tls_step {
    done,
    want_input,  // more bytes from the peer are needed
    closed,      // the peer has sent its close_notify
    failed,      // see failure(); the engine can only be destroyed
};

/// Why the engine failed.
struct tls_failure {
    enum class kind { protocol, certificate, truncated } what = kind::protocol;
    std::string reason;
};

/// Options of one connection.
struct tls_engine_options {
    std::string host;     // client: to send and to verify; empty: neither
    std::string alpn;     // as on the wire; client: empty: the context's; server: if it has none
    std::string session;  // client: the key under which sessions are kept; empty: they are not
};

class tls_engine {
public:
    virtual ~tls_engine() = default;

    virtual tls_step handshake() = 0;
    /// Decrypts into `into`. Returns: done with `got` > 0 bytes, or why there are none.
    virtual tls_step read(buffer_view into, std::size_t& got) = 0;
    /// Encrypts all of `data` into `output`. Returns: done or failed.
    virtual tls_step write(const_buffer data) = 0;
    /// Puts a close_notify into `output`.
    virtual void say_goodbye() = 0;
    /// To be called when the peer's bytes have ended: the next step does not want input.
    void end_input() noexcept { input_ended = true; }

    read_buffer input;
    read_buffer output;
    bool input_ended = false;
    tls_failure failure;

    // -- after the handshake ---------------------------------------------------------------------
    virtual std::string_view alpn() const noexcept = 0;
    virtual tls::version version() const noexcept = 0;
    virtual std::string_view cipher() const noexcept = 0;
    virtual bool resumed() const noexcept = 0;
    virtual std::string_view server_name() const noexcept = 0;
    virtual std::optional<tls::certificate> peer_certificate() const = 0;
};

/// Throws: tls_error; without OpenSSL a sentence that says so (missing.cpp).
std::unique_ptr<tls_engine> make_tls_engine(std::shared_ptr<ssl_context> context,
                                            tls_engine_options options);

}  // namespace detail
}  // namespace v0
}  // namespace rondo
