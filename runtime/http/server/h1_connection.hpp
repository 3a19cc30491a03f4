// SPDX-License-Identifier: MIT
// HTTP/1.1 on a connection: one request after the other, from its bytes to the reply's. It belongs
// to a connection only while that is not idle.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "http/h1/decoder.hpp"
#include "http/server/answer.hpp"
#include "http/server/connection.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

class h1_server_connection final : public http_answer, public http_speaker {
public:
    explicit h1_server_connection(http_server& server);

    /// Serves requests of `link`, of which bytes have come. `is_first`: they are its first ones.
    /// Returns: true when it is idle, and this is free for another one; false if the connection
    ///          ends, or speaks HTTP/2.
    /// Throws: errors of the server's own, and of the stream.
    task<bool> run(http_link& link, bool is_first);
    /// True if it ended because the peer speaks HTTP/2. Its first bytes, which were taken already,
    /// are a part of the preface.
    bool has_found_http2() const noexcept { return has_found_http2_; }
    const std::string& first_bytes() const noexcept { return preface_; }

    // -- http_server_exchange
    task<std::string_view> read_body() override;
    const http::fields& request_trailers() const noexcept override { return decoder_.trailers(); }

    bool can_upgrade() const noexcept override { return true; }

    // -- http_speaker
    void begin_end() noexcept override;
    void cut_off() noexcept override { leave(); }
    void time_is_up() noexcept override;
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
    http_input& input() noexcept { return link_->input; }
    void attach(http_link& link, bool is_first) noexcept;
    bool finds_http2();
    http::h1::event take_head();
    task<bool> receive_head(bool is_first);
    void begin_request();
    void end_request() noexcept;
    task<> refuse(int status, std::string text);
    http::h1::step next_of_body();
    task<bool> skip_body();
    task<> linger();
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

    http_link* link_ = nullptr;
    http_transport* upgraded_ = nullptr;  // while it speaks another protocol
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
