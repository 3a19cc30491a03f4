// SPDX-License-Identifier: MIT
// The sending half of a connection of HTTP/1.1: heads, and the framing of bodies.
#include <algorithm>
#include <utility>

#include <rondo/cancel.hpp>
#include <rondo/copy.hpp>
#include <rondo/error.hpp>

#include "http/server/h1_connection.hpp"
#include "http/server/reply_head.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

namespace h1 = http::h1;

// A smaller file goes together with its head; and the calls of send_file cost more than a copy.
constexpr std::uint64_t least_uncopied = std::uint64_t{48} * 1024;
constexpr std::size_t short_body = std::size_t{16} * 1024;  // copied behind its head

}  // namespace

/// Writes at most three buffers within the limit of time.
task<> h1_server_connection::write(const_buffer first, const_buffer second, const_buffer third) {
    const phase before = std::exchange(phase_, phase::writing);
    link_->clock.set(server_.options.write);
    try {
        if (link_->direct != nullptr)
            co_await link_->direct->write_all(first, second, third);
        else
            co_await stream_->write_all(first, second, third);
    } catch (...) {
        write_failed(before);
        throw;
    }
    link_->clock.clear();
    phase_ = before;
}

/// In a handler of exceptions.
void h1_server_connection::write_failed(phase before) noexcept {
    try {
        throw;
    } catch (const invalid_state_error&) {  // two tasks write
        phase_ = before;
    } catch (const cancelled&) {  // by the user's code, perhaps: what follows would be out of place
        leave();
    } catch (const std::exception&) {
        is_gone_ = true;
    } catch (...) {  // the end of the loop
    }
}

task<std::size_t> h1_server_connection::send_part(reply_source& from) {
    const auto most = static_cast<std::size_t>(std::min<std::uint64_t>(left_, piece_bytes));
    if (link_->direct == nullptr || (sent_ == 0 && left_ < least_uncopied))
        return send_copied(from, most);
    return send_uncopied(from, most);
}

task<std::size_t> h1_server_connection::send_uncopied(reply_source& from, std::size_t most) {
    if (!out_.empty()) co_await send_head();
    const phase before = std::exchange(phase_, phase::writing);
    link_->clock.set(server_.options.write);
    std::uint64_t sent = 0;
    try {
        sent = co_await rondo::send_file(from.file, *link_->direct, from.offset + sent_, most);
    } catch (...) {
        write_failed(before);
        throw;
    }
    link_->clock.clear();
    phase_ = before;
    co_return static_cast<std::size_t>(sent);
}

bool h1_server_connection::decide_keep_alive(const http::reply& reply) const noexcept {
    if (reply.closes() || server_.is_ending || !decoder_.is_persistent() || body_status_ != 0)
        return false;
    if (decoder_.has_ended()) return true;
    if (wants_continue_) return false;  // the body may come or not
    const std::int64_t length = decoder_.content_length();
    return length < 0 ||
           static_cast<std::uint64_t>(length) - decoder_.body_bytes() <=
               http_link::skipped_bytes;
}

/// Decides the framing and writes the head to out_.
void h1_server_connection::begin_reply(http::reply& reply, h1::body_length length) {
    keep_ = decide_keep_alive(reply);
    const bool is_old = request_.version == http::version::http_1_0;
    if (is_old && length.kind() == h1::framing::chunked) {
        length = h1::body_length::until_close();
        keep_ = false;
    }
    reply_framing_ = length.kind();
    out_.clear();
    write_reply_head(out_, reply, {length, keep_, is_old, server_.date_line()});
}

task<> h1_server_connection::send_bytes(std::string_view body) {
    std::string_view now = body.substr(0, piece_bytes);
    if (body.size() <= short_body) {
        out_ += body;
        co_await write(out_);
    } else {
        co_await write(out_, now);
    }
    sent_ = now.size();
    while (sent_ < body.size()) {
        now = body.substr(static_cast<std::size_t>(sent_), piece_bytes);
        co_await write(now);
        sent_ += now.size();
    }
    if (out_.capacity() > 2 * short_body) out_ = std::string();  // an idle connection stays small
}

task<> h1_server_connection::send_head() {
    co_await write(out_);
    out_.clear();
}

task<> h1_server_connection::send_piece(const_buffer piece) {
    if (reply_framing_ == h1::framing::chunked) {
        const h1::chunk_head head(piece.size());
        co_await write(head.text(), piece, h1::chunk_end);
        co_return;
    }
    co_await write(out_, piece);
    out_.clear();
}

task<> h1_server_connection::end_body() {
    if (reply_framing_ == h1::framing::chunked) h1::write_last_chunk(out_, reply_trailers_);
    if (!out_.empty()) co_await write(out_);
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
