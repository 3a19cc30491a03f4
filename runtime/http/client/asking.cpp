// SPDX-License-Identifier: MIT
// The order of things in a request: the head, the body, the wait; and an answer in the middle.
#include "http/client/asking.hpp"

#include <rondo/race.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

namespace h1 = http::h1;

constexpr std::size_t small_body = std::size_t{64} * 1024;  // sent before the response is read
constexpr std::size_t written_at_once = std::size_t{128} * 1024;

/// Methods that mean something with a body say so even if it is empty.
bool wants_length(std::string_view method) {
    return method == "POST" || method == "PUT" || method == "PATCH";
}

}  // namespace

// -- sending -------------------------------------------------------------------------------------
task<std::string_view> http_asking::next_of(http::body_source& body) {
    try {
        co_return co_await body.next();
    } catch (const std::exception&) {
        body_failed_ = true;
        throw;
    }
}

/// In parts, so that the limit of a write is one of silence, not of the whole body.
task<> http_asking::send_piece(std::string_view piece) {
    while (!piece.empty()) {
        const std::string_view part = piece.substr(0, written_at_once);
        piece.remove_prefix(part.size());
        co_await send_part(part);
        budget_->bytes += part.size();
    }
}

task<> http_asking::send_body(http::body_source& body) {
    std::optional<std::uint64_t> left = body.size();
    for (;;) {
        const std::string_view piece = co_await next_of(body);
        if (piece.empty()) break;
        if (left && piece.size() > *left) throw_wrong_size("longer");
        if (left) *left -= piece.size();
        co_await send_piece(piece);
    }
    if (left && *left != 0) throw_wrong_size("shorter");
    co_await send_end();
}

task<> http_asking::append_small(std::string& to, http::body_source& body, std::uint64_t size) {
    const std::size_t end = to.size() + static_cast<std::size_t>(size);
    for (;;) {
        const std::string_view piece = co_await next_of(body);
        if (piece.empty()) break;
        to += piece;
        if (to.size() > end) throw_wrong_size("longer");
    }
    if (to.size() < end) throw_wrong_size("shorter");
}

void http_asking::throw_wrong_size(const char* how) const {
    throw http::error(std::string("the body is ") + how + " than it said", budget_->method(),
                      budget_->url());
}

task<> http_asking::send(const http_outgoing& request) {
    co_await send_message(request);
    sent_all_ = true;
    sent_at_ = running_loop().time();
    budget_->tell(http::trace_point::sent, {.took = sent_at_ - began_, .bytes = budget_->bytes});
}

task<> http_asking::send_message(const http_outgoing& request) {
    http::body_source* const body = request.body;
    h1::body_length length = h1::body_length::none();
    const std::optional<std::uint64_t> size = body != nullptr ? body->size() : 0;
    if (!size)
        length = h1::body_length::chunked();
    else if (body != nullptr || wants_length(request.method))
        length = h1::body_length::exactly(*size);
    std::string out;
    write_head(out, request, length);
    if (size && *size <= small_body) {  // one call for both
        if (*size != 0) co_await append_small(out, *body, *size);
        co_await send_first(out, true);
        budget_->bytes += *size;
        co_return;
    }
    co_await send_first(out, false);
    co_await send_body(*body);
}

/// Sends, and notes why it could not.
task<> http_asking::try_to_send(const http_outgoing& request) {
    try {
        co_await send(request);
    } catch (const write_error&) {
        unsent_ = std::current_exception();
        lost_while_sending_ = !body_failed_;
        sent_at_ = running_loop().time();
    } catch (const std::exception&) {
        unsent_ = std::current_exception();
    }
}

// -- receiving -----------------------------------------------------------------------------------
task<> http_asking::try_to_receive_head() {
    try {
        co_await receive_head();
    } catch (const std::exception&) {
        unheard_ = std::current_exception();
    }
}

task<http_incoming> http_asking::ask(const http_outgoing& request) {
    begin(request);
    if (budget_->is_traced()) began_ = running_loop().time();
    budget_->bytes = 0;
    const std::optional<std::uint64_t> size = request.body != nullptr ? request.body->size() : 0;
    if (size && *size <= small_body) {
        co_await try_to_send(request);
    } else {  // the server may answer in the middle: then the rest is not sent
        auto sending = try_to_send(request);
        auto receiving = try_to_receive_head();
        co_await race(std::move(sending), std::move(receiving));
    }
    // If the connection was lost, the server may have answered before it closed.
    if (unsent_ && !has_head_ && !lost_while_sending_) std::rethrow_exception(unsent_);
    if (!unheard_) co_await try_to_receive_head();
    if (unheard_) std::rethrow_exception(unsent_ ? unsent_ : unheard_);
    co_return take_incoming();
}

http_incoming http_asking::take_incoming() {
    http_incoming incoming = take_head();
    if (budget_->is_traced()) {
        const time_point since = sent_all_ ? sent_at_ : began_;
        budget_->tell(http::trace_point::head,
                      {.took = running_loop().time() - since, .status = incoming.status});
    }
    budget_->bytes = 0;
    end_if_empty();
    return incoming;
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
