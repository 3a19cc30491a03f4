// SPDX-License-Identifier: MIT
// A connection of HTTP/1.1: one request after the other, from its bytes to the reply's.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <rondo/serve.hpp>

#include "http/h1/decoder.hpp"
#include "http/server/answer.hpp"
#include "http/server/clock.hpp"
#include "http/server/connection.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

class h1_server_connection final : public http_answer, public http_server_connection {
public:
    /// `scope` has the connection's tasks: its cancellation ends the connection.
    h1_server_connection(http_server& server, http_link& link, children& scope);

    /// Serves it until it ends.
    /// Throws: errors of the server's own, and of the stream.
    task<> run();
    /// True if it ended because the peer speaks HTTP/2. Its first bytes, which were taken already,
    /// are a part of the preface.
    bool has_found_http2() const noexcept { return has_found_http2_; }
    const std::string& first_bytes() const noexcept { return preface_; }

    // -- http_server_exchange
    task<std::string_view> read_body() override;
    const http::fields& request_trailers() const noexcept override { return decoder_.trailers(); }

    bool can_upgrade() const noexcept override { return true; }

    // -- http_server_connection
    void begin_end() noexcept override;
    void cut_off() noexcept override { leave(); }
    void peer_has_ended() noexcept override;
    bool is_gone() const noexcept override { return is_gone_; }
    void finish() noexcept override;

private:
    enum class phase : std::uint8_t {
        idle,       // between two requests
        head,       // bytes of a head have come
        answering,  // a handler works
        writing,    // the peer has to take bytes
        leaving,    // the last reply was sent
    };

    // -- h1_connection.cpp
    bool finds_http2();
    http::h1::event take_head();
    task<bool> receive_head(bool is_first);
    void begin_request();
    void end_request() noexcept;
    task<> refuse(int status, std::string text);
    http::h1::step next_of_body();
    task<bool> skip_body();
    task<> linger();
    void time_is_up() noexcept;
    void leave() noexcept;

    // -- upgrade.cpp
    task<> upgrade(http::reply& reply) override;

    // -- h1_sending.cpp
    task<> write(const_buffer first, const_buffer second = {}, const_buffer third = {});
    bool decide_keep_alive(const http::reply& reply) const noexcept;
    void begin_reply(http::reply& reply, http::h1::body_length length) override;
    task<> send_bytes(std::string_view body) override;
    task<> send_head() override;
    task<> send_piece(const_buffer piece) override;
    task<> end_body() override;
    task<std::size_t> send_part(reply_source& from) override;
    task<std::size_t> send_uncopied(reply_source& from, std::size_t most);
    void write_failed(phase before) noexcept;

    http_listing listing_;
    http_link& link_;
    http_input& input_;
    children& scope_;
    http_transport* upgraded_ = nullptr;  // while it speaks another protocol
    http_clock clock_;
    http::h1::request_decoder decoder_;
    std::string out_;  // a head that is to be sent, and a short body
    http::h1::framing reply_framing_ = http::h1::framing::none;
    phase phase_ = phase::idle;
    bool keep_ = false;            // the connection can carry another request
    bool wants_continue_ = false;  // the client waits for "100 Continue"
    bool may_be_http2_ = true;     // it has not sent enough to tell
    bool has_found_http2_ = false;
    std::string preface_;  // a beginning of HTTP/2's that has come
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
