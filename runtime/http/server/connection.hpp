// SPDX-License-Identifier: MIT
// A connection of HTTP/1.1: one request after the other, from its bytes to the reply's.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <rondo/http/reply.hpp>
#include <rondo/http/request.hpp>
#include <rondo/loop.hpp>
#include <rondo/serve.hpp>

#include "http/h1/decoder.hpp"
#include "http/server/exchange.hpp"
#include "http/server/input.hpp"
#include "http/server/reply_source.hpp"
#include "http/server/server.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

/// One timer for all limits of a connection. A limit that is later than the one before costs no
/// more than a store: the timer is set again when the earlier one has come.
class http_clock : timer_node {
public:
    using expiry = void (*)(void*) noexcept;
    http_clock(expiry on_expiry, void* context) noexcept;
    ~http_clock();

    /// Expires `limit` from now; never if it is zero.
    void set(duration limit);
    void clear() noexcept { deadline_ = time_point::max(); }

private:
    static void due(timer_node& node) noexcept;

    expiry on_expiry_;
    void* context_;
    resumer* home_;
    time_point deadline_ = time_point::max();
    time_point armed_ = time_point::max();
};

class h1_server_connection final : public http_server_exchange, public http_server_connection {
public:
    h1_server_connection(std::shared_ptr<http_server> server,
                         std::unique_ptr<http_server_stream> stream);

    /// Serves it until it ends.
    /// Throws: errors of the server's own; those of the connection are its end.
    task<> run();

    // -- http_server_exchange --------------------------------------------------------------------
    task<std::string_view> read_body() override;
    const http::fields& request_trailers() const noexcept override { return decoder_.trailers(); }
    task<> write_body(const_buffer data) override;
    http::fields& reply_trailers() noexcept override { return trailers_; }
    endpoint peer() const override { return stream_->remote(); }
    bool is_secure() const noexcept override { return stream_->is_secure(); }
    bool can_upgrade() const noexcept override { return true; }

    void begin_end() noexcept override;
    void cut_off() noexcept override { leave(); }

private:
    enum class phase : std::uint8_t {
        idle,       // between two requests
        head,       // bytes of a head have come
        answering,  // a handler works
        writing,    // the peer has to take bytes
        leaving,    // the last reply was sent
    };

    static constexpr std::uint64_t skipped_bytes = 64 * 1024;
    static constexpr duration skipped_time = std::chrono::seconds(1);

    // -- connection.cpp
    task<> talk();
    http::h1::event take_head();
    task<bool> receive_head(bool is_first);
    void begin_request();
    task<> answer();
    task<> complete_reply(std::exception_ptr error);
    task<http::reply> reply_to_error(std::exception_ptr error);
    task<> refuse(int status, std::string text);
    http::h1::step next_of_body();
    [[noreturn]] void fail_body(int status, std::string_view text);
    task<bool> skip_body();
    task<> linger();
    void report(std::exception_ptr error) noexcept;
    void log(int status) noexcept;
    void peer_has_ended() noexcept;
    void time_is_up() noexcept;
    void leave() noexcept;

    // -- upgrade.cpp
    task<> upgrade(http::reply& reply);

    // -- sending.cpp
    task<> write(const_buffer first, const_buffer second = {}, const_buffer third = {});
    bool decide_keep_alive(const http::reply& reply) const noexcept;
    void begin_reply(http::reply& reply);
    task<> send(http::reply& reply);
    task<> send_bytes(std::string_view body);
    task<> send_file(reply_source& from);
    task<> send_stream(reply_source& from);
    static rondo::error error_of_file(const reply_source& from);
    void cut(std::exception_ptr error) noexcept;

    std::shared_ptr<http_server> server_;
    std::unique_ptr<http_server_stream> stream_;
    byte_stream* direct_;
    http_input input_;
    http_clock clock_;
    http::h1::request_decoder decoder_;
    http_server_request request_;
    http::request facade_;
    std::optional<http::reply> reply_;
    std::string out_;        // its head, and a short body
    http::fields trailers_;  // of the reply
    children* scope_ = nullptr;
    http_transport* upgraded_ = nullptr;  // while it speaks another protocol
    std::string body_error_;  // why the request's body cannot be read
    int body_status_ = 0;
    time_point began_{};
    std::uint64_t sent_ = 0;  // bytes of the reply's body
    std::uint64_t left_ = 0;  // of a streamed body with a length
    http::h1::framing reply_framing_ = http::h1::framing::none;
    phase phase_ = phase::idle;
    bool keep_ = false;            // the connection can carry another request
    bool wants_continue_ = false;  // the client waits for "100 Continue"
    bool is_reading_ = false;      // a task reads the body
    bool is_at_work_ = false;      // code of the user's, which needs to know if the client goes
    bool is_gone_ = false;         // the client is
    bool is_cut_ = false;          // the reply ends before its end
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
