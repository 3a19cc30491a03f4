// SPDX-License-Identifier: MIT
// The part of an exchange that does not depend on the version of HTTP: runs the handler, turns its
// errors into replies, sends the reply piece by piece, writes the log.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <optional>
#include <string>
#include <string_view>

#include <rondo/http/reply.hpp>
#include <rondo/http/request.hpp>

#include "http/h1/encoder.hpp"
#include "http/server/exchange.hpp"
#include "http/server/reply_source.hpp"
#include "http/server/server.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

class http_answer : public http_server_exchange {
public:
    explicit http_answer(http_server& server, http_server_stream* stream = nullptr) noexcept
        : server_(server), stream_(stream), facade_(request_) {
        request_.exchange = this;
        request_.server = &server;
    }
    http_answer(const http_answer&) = delete;
    http_answer& operator=(const http_answer&) = delete;

    task<> write_body(const_buffer data) final;
    http::fields& reply_trailers() noexcept final { return reply_trailers_; }
    endpoint peer() const final { return stream_->remote(); }
    bool is_secure() const noexcept final { return stream_->is_secure(); }

protected:
    ~http_answer() = default;

    // -- what a version of HTTP does -------------------------------------------------------------
    /// Makes the head. It is sent by the next of the following calls. `length` is `chunked` for a
    /// body whose length is not known.
    virtual void begin_reply(http::reply& reply, http::h1::body_length length) = 0;
    /// Sends the head of status 101, and speaks another protocol. Called only if can_upgrade().
    virtual task<> upgrade(http::reply& reply);
    /// Sends a body that is in memory, all of it.
    virtual task<> send_bytes(std::string_view body) = 0;
    virtual task<> send_head() = 0;
    /// Sends a piece of the body, of at most piece_bytes.
    virtual task<> send_piece(const_buffer piece) = 0;
    /// Sends a piece of a file of left_ bytes. Returns: its size; 0 at the end of the file.
    virtual task<std::size_t> send_part(reply_source& from) {
        return send_copied(from, std::min<std::uint64_t>(left_, piece_bytes));
    }
    /// Ends a body that was sent in pieces, with trailers if there are any.
    virtual task<> end_body() = 0;

    // -- answer.cpp
    /// Forgets the request before. The fields of the new one are in request_.
    void begin_answer();
    /// Calls the handler and sends its reply.
    task<> answer();
    void report(std::exception_ptr error) noexcept;
    /// Ends an answer that could not be sent.
    void abandon() noexcept;
    /// Throws the error of the request's body, now and in all later reads.
    [[noreturn]] void fail_body(int status, std::string_view text);
    /// Throws the error of an earlier read.
    void check_body() const {
        if (body_status_ != 0) throw http::reply_error(body_status_, body_error_);
    }

    // -- sending.cpp
    task<> send(http::reply& reply);
    /// Reads a piece of a file and sends it. Returns: its size; 0 at the end of the file.
    task<std::size_t> send_copied(reply_source& from, std::size_t most);

    static constexpr std::size_t piece_bytes = http_server::block_bytes;

    http_server& server_;
    http_server_stream* stream_;
    http_server_request request_;
    http::request facade_;
    std::optional<http::reply> reply_;
    http::fields reply_trailers_;   // of the reply
    std::string body_error_;  // why the request's body cannot be read
    int body_status_ = 0;
    time_point began_{};
    std::uint64_t sent_ = 0;      // bytes of the reply's body
    std::uint64_t left_ = 0;      // of a body with a length
    bool has_length_ = false;     // the reply's body
    bool is_open_ = false;        // the answer is not in the log yet
    bool is_reading_ = false;     // a task reads the body
    bool is_at_work_ = false;     // code of the user's, which needs to know if the client goes
    bool is_gone_ = false;        // the client is
    bool is_cut_ = false;         // the reply ends before its end

private:
    task<> complete_reply(std::exception_ptr error);
    task<http::reply> reply_to_error(std::exception_ptr error);
    void log(int status) noexcept;
    task<> send_file(reply_source& from);
    task<> send_stream(reply_source& from);
    void cut(std::exception_ptr error) noexcept;
};

/// True while the block runs.
class flag_in {
public:
    explicit flag_in(bool& flag) noexcept : flag_(flag) { flag_ = true; }
    flag_in(const flag_in&) = delete;
    ~flag_in() { flag_ = false; }

private:
    bool& flag_;
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
