// SPDX-License-Identifier: MIT
// The sending half of a server's connection: heads, bodies in memory, files, streams.
#include <algorithm>
#include <utility>

#include <rondo/error.hpp>

#include "http/server/connection.hpp"
#include "http/server/reply_head.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

namespace h1 = http::h1;

constexpr std::size_t short_body = std::size_t{16} * 1024;  // copied behind its head
constexpr std::size_t piece_bytes = http_server::block_bytes;  // for which the time of a write is

bool has_body(int status) noexcept { return status != 204 && status != 304; }

}  // namespace

/// Writes at most three buffers within the limit of time.
task<> h1_server_connection::write(const_buffer first, const_buffer second, const_buffer third) {
    const phase before = std::exchange(phase_, phase::writing);
    clock_.set(server_->options.write);
    try {
        if (direct_ != nullptr)
            co_await direct_->write_all(first, second, third);
        else
            co_await stream_->write_all(first, second, third);
    } catch (const invalid_state_error&) {  // two tasks write
        phase_ = before;
        throw;
    } catch (const cancelled&) {  // by the user's code, perhaps: what follows would be out of place
        leave();
        throw;
    } catch (const std::exception&) {
        is_gone_ = true;
        throw;
    }
    clock_.clear();
    phase_ = before;
}

bool h1_server_connection::decide_keep_alive(const http::reply& reply) const noexcept {
    if (reply.closes() || server_->is_ending || !decoder_.is_persistent() || body_status_ != 0)
        return false;
    if (decoder_.has_ended()) return true;
    if (wants_continue_) return false;  // the body may come or not
    const std::int64_t length = decoder_.content_length();
    return length < 0 ||
           static_cast<std::uint64_t>(length) - decoder_.body_bytes() <= skipped_bytes;
}

/// Decides the framing and writes the head to out_.
void h1_server_connection::begin_reply(http::reply& reply) {
    keep_ = decide_keep_alive(reply);
    const bool is_old = request_.version == http::version::http_1_0;
    h1::body_length length = h1::body_length::none();
    if (has_body(reply.status())) {
        const reply_source* const from = reply.source();
        if (from == nullptr)
            length = h1::body_length::exactly(reply.body()->size());
        else if (from->length)
            length = h1::body_length::exactly(*from->length);
        else
            length = is_old ? h1::body_length::until_close() : h1::body_length::chunked();
    }
    if (length.kind() == h1::framing::close) keep_ = false;
    reply_framing_ = length.kind();
    left_ = length.bytes();
    out_.clear();
    write_reply_head(out_, reply, {length, keep_, is_old, server_->date_line()});
}

task<> h1_server_connection::send(http::reply& reply) {
    if (reply.source() != nullptr && reply.source()->upgrade) return upgrade(reply);
    begin_reply(reply);
    const bool is_bare = !has_body(reply.status()) || request_.method == "HEAD";
    reply_source* const from = reply.source();
    if (is_bare || from == nullptr) {
        const std::string_view body = is_bare ? std::string_view() : *reply.body();
        return send_bytes(body);
    }
    return from->write ? send_stream(*from) : send_file(*from);
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

namespace {

/// Memory for a piece of a file.
class borrowed_block {
public:
    explicit borrowed_block(http_server& from) : from_(from), block_(from.take_block()) {}
    borrowed_block(const borrowed_block&) = delete;
    ~borrowed_block() { from_.give_block(std::move(block_)); }
    char* data() const noexcept { return block_.get(); }

private:
    http_server& from_;
    std::unique_ptr<char[]> block_;
};

}  // namespace

task<> h1_server_connection::send_file(reply_source& from) {
    const borrowed_block block(*server_);
    std::string_view head = out_;
    while (left_ > 0 || !head.empty()) {
        std::string_view piece;
        if (left_ > 0) {
            const auto most = static_cast<std::size_t>(std::min<std::uint64_t>(left_, piece_bytes));
            const chunk some = co_await from.file.read_at(buffer_view(block.data(), most),
                                                          from.offset + sent_);
            if (!some) break;
            piece = some.text();
        }
        co_await write(head, piece);
        head = {};
        sent_ += piece.size();
        left_ -= piece.size();
    }
    if (left_ == 0) co_return;
    cut(std::make_exception_ptr(error_of_file(from)));
}

rondo::error h1_server_connection::error_of_file(const reply_source& from) {
    return rondo::error("the file " + from.file.path() + " has become shorter while it was sent");
}

/// Ends the connection so that the client does not take the body for complete.
void h1_server_connection::cut(std::exception_ptr error) noexcept {
    if (!is_gone_) report(std::move(error));
    is_cut_ = true;
    keep_ = false;
}

task<> h1_server_connection::send_stream(reply_source& from) {
    co_await write(out_);
    http::body_writer writer(*this);
    is_at_work_ = true;
    std::exception_ptr error;
    try {
        auto writing = from.write(writer);
        co_await std::move(writing);
    } catch (const cancelled&) {
        throw;
    } catch (...) {
        error = std::current_exception();
    }
    is_at_work_ = false;
    if (!error && reply_framing_ == h1::framing::length && left_ != 0)
        error = std::make_exception_ptr(
            http::error("the body of a reply is shorter than its length"));
    if (error) {
        cut(std::move(error));
        co_return;
    }
    if (reply_framing_ != h1::framing::chunked) co_return;
    out_.clear();
    h1::write_last_chunk(out_, trailers_);
    co_await write(out_);
}

task<> h1_server_connection::write_body(const_buffer data) {
    if (reply_framing_ == h1::framing::length && data.size() > left_)
        throw http::error("the body of a reply is longer than its length");
    while (!data.empty()) {
        const const_buffer piece = data.first(std::min(data.size(), piece_bytes));
        if (reply_framing_ == h1::framing::chunked) {
            const h1::chunk_head head(piece.size());
            co_await write(head.text(), piece, h1::chunk_end);
        } else {
            co_await write(piece);
        }
        if (reply_framing_ == h1::framing::length) left_ -= piece.size();
        sent_ += piece.size();
        data = data.without_first(piece.size());
    }
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
