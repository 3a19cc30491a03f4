// SPDX-License-Identifier: MIT
// A stream of HTTP/2 on the server: one request and its reply.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include <rondo/future.hpp>
#include <rondo/wait_queue.hpp>

#include "http/h2/engine.hpp"
#include "http/server/answer.hpp"
#include "http/server/clock.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

class h2_server_connection;

/// The engine's events come while a stream is open. Its task begins when the head has come, owns
/// the stream, and destroys it in the end. Before that the stream destroys itself.
class h2_server_stream final : public http_answer, public http::h2::stream {
public:
    explicit h2_server_stream(h2_server_connection& of);
    ~h2_server_stream() override;

    /// The stream's task.
    static task<> serve(std::unique_ptr<h2_server_stream> self);

    // -- http_server_exchange
    task<std::string_view> read_body() override;
    const http::fields& request_trailers() const noexcept override { return trailers(); }

private:
    // -- http::h2::stream
    void on_head(http::h2::head& come) override;
    void on_data(std::string_view bytes) override;
    void on_end() override;
    void on_sent() override;
    void on_closed(const http::h2::closing& how) override;

    // -- http_answer
    void begin_reply(http::reply& reply, http::h1::body_length length) override;
    task<> send_bytes(std::string_view body) override;
    task<> send_head() override;
    task<> send_piece(const_buffer piece) override;
    task<> end_body() override;
    task<std::size_t> send_part(reply_source& from) override;

    task<> answer_request();
    void begin_request();
    task<> refuse(int status, const char* text);
    void drop_body() noexcept;
    void give_back() noexcept;
    void respond(bool has_body);
    task<> push(std::string_view piece, bool is_last);
    task<> wait_until_sent(bool with_end);
    task<> wait_for_room();
    void write_is_late() noexcept;
    void give_up() noexcept;
    void wake() noexcept;
    void reset(http::h2::code why) noexcept;

    h2_server_connection& connection_;
    http::h2::head head_;
    std::string came_;          // of the body, not taken yet
    std::string taken_;         // by the handler, until its next read
    std::size_t to_send_ = 0;      // bytes of the last piece that have not gone
    std::uint64_t sent_before_ = 0;  // by the connection, when the limit of the write began
    std::size_t counted_ = 0;   // bytes of them in http_server::uploads
    wait_queue arrived_;
    wait_queue sent_wait_;
    http_clock read_clock_;
    http_clock write_clock_;
    future<void> task_;
    http::reply* head_of_ = nullptr;  // a reply whose head was not sent
    bool has_task_ = false;
    bool wants_continue_ = false;  // the client waits for "100 Continue"
    bool is_late_ = false;         // no byte of the body came in time
    bool is_too_much_ = false;     // the body is not kept: no memory, or no reader
    bool is_writing_ = false;
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
