// SPDX-License-Identifier: MIT
// The sending half of an answer: bodies in memory, files, streams.
#include <algorithm>
#include <utility>

#include <rondo/cancel.hpp>
#include <rondo/error.hpp>

#include "http/server/answer.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

using http::h1::body_length;

bool has_body(int status) noexcept { return status != 204 && status != 304; }

body_length length_of(http::reply& reply) noexcept {
    if (!has_body(reply.status())) return body_length::none();
    const reply_source* const from = reply.source();
    if (from == nullptr) return body_length::exactly(reply.body()->size());
    return from->length ? body_length::exactly(*from->length) : body_length::chunked();
}

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

rondo::error error_of_file(const reply_source& from) {
    return rondo::error("the file " + from.file.path() + " has become shorter while it was sent");
}

}  // namespace

task<> http_answer::send(http::reply& reply) {
    if (reply.source() != nullptr && reply.source()->upgrade) return upgrade(reply);
    const body_length length = length_of(reply);
    has_length_ = length.kind() == http::h1::framing::length;
    left_ = length.bytes();
    begin_reply(reply, length);
    const bool is_bare = !has_body(reply.status()) || request_.method == "HEAD";
    reply_source* const from = reply.source();
    if (is_bare || from == nullptr) {
        const std::string_view body = is_bare ? std::string_view() : *reply.body();
        return send_bytes(body);
    }
    return from->write ? send_stream(*from) : send_file(*from);
}

task<> http_answer::upgrade(http::reply&) {
    throw http::error("this connection cannot switch to another protocol");
}

task<std::size_t> http_answer::send_copied(reply_source& from, std::size_t most) {
    const borrowed_block block(server_);
    const chunk some =
        co_await from.file.read_at(buffer_view(block.data(), most), from.offset + sent_);
    if (some) co_await send_piece(some.text());
    co_return some.size();
}

task<> http_answer::send_file(reply_source& from) {
    while (left_ > 0) {
        const std::size_t gone = co_await send_part(from);
        if (gone == 0) break;
        sent_ += gone;
        left_ -= gone;
    }
    if (left_ != 0) {
        cut(std::make_exception_ptr(error_of_file(from)));
        co_return;
    }
    co_await end_body();
}

/// Ends the reply so that the client does not take the body for complete.
void http_answer::cut(std::exception_ptr error) noexcept {
    if (!is_gone_) report(std::move(error));
    is_cut_ = true;
}

task<> http_answer::send_stream(reply_source& from) {
    co_await send_head();
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
    if (!error && has_length_ && left_ != 0)
        error = std::make_exception_ptr(
            http::error("the body of a reply is shorter than its length"));
    if (error) {
        cut(std::move(error));
        co_return;
    }
    co_await end_body();
}

task<> http_answer::write_body(const_buffer data) {
    if (has_length_ && data.size() > left_)
        throw http::error("the body of a reply is longer than its length");
    while (!data.empty()) {
        const const_buffer piece = data.first(std::min(data.size(), piece_bytes));
        co_await send_piece(piece);
        if (has_length_) left_ -= piece.size();
        sent_ += piece.size();
        data = data.without_first(piece.size());
    }
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
