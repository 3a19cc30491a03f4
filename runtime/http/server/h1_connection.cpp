// SPDX-License-Identifier: MIT
// The way of requests through a connection of HTTP/1.1.
#include "http/server/h1_connection.hpp"

#include <algorithm>
#include <utility>

#include <rondo/cancel.hpp>
#include <rondo/error.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

namespace h1 = http::h1;

h1::limits limits_of(const http::server_options& options) {
    h1::limits bounds;
    bounds.head_bytes = options.head_bytes;
    bounds.fields = options.header_fields;
    bounds.target_bytes = options.target_bytes;
    return bounds;
}

}  // namespace

h1_server_connection::h1_server_connection(http_server& server)
    : http_answer(server), decoder_(limits_of(server.options)) {}

/// Forgets the connection before.
void h1_server_connection::attach(http_link& link, bool is_first) noexcept {
    link_ = &link;
    stream_ = link.stream.get();
    may_be_http2_ = is_first;
    has_found_http2_ = is_gone_ = is_cut_ = false;
    preface_.clear();
}

task<bool> h1_server_connection::run(http_link& link, bool is_first) {
    attach(link, is_first);
    for (bool has_served = false;; has_served = true) {
        decoder_.begin();
        phase_ = phase::idle;
        if (may_be_http2_ || take_head() != h1::event::head) {
            if (has_served) {
                if (decoder_.is_untouched() && input().unread.empty()) co_return true;
                link.clock.set(server_.options.idle);
            }
            const bool has_head = co_await receive_head(is_first && !has_served);
            if (!has_head) co_return false;
        }
        link.clock.clear();
        begin_request();
        co_await answer();
        if (keep_ && !is_cut_ && !decoder_.has_ended()) keep_ = co_await skip_body();
        end_request();
        if (!keep_ || is_cut_) break;
    }
    if (!is_cut_) co_await linger();
    co_return false;
}

/// Looks at the first bytes of the connection. If they are not HTTP/2's, the decoder gets them.
bool h1_server_connection::finds_http2() {
    std::string_view& unread = input().unread;
    if (unread.empty()) return false;
    const std::string_view agreed = stream_->alpn();
    const std::size_t older = preface_.size();
    std::size_t more = 0;  // of `unread`, which is in preface_ too
    h1::preface found = h1::preface::no;
    if (!speaks_http2(server_)) {
        // The decoder refuses the preface.
    } else if (agreed == "h2") {
        found = h1::preface::yes;  // anything else breaks the rules of HTTP/2
    } else if (agreed.empty()) {
        if (older != 0) more = std::min(unread.size(), h1::http2_preface.size() - older);
        preface_ += unread.substr(0, more);
        found = h1::match_http2_preface(preface_.empty() ? unread : preface_);
    }
    if (found != h1::preface::no) unread.remove_prefix(more);
    if (found == h1::preface::incomplete) {
        if (older == 0) preface_ = std::exchange(unread, {});
        return false;
    }
    may_be_http2_ = false;
    has_found_http2_ = found == h1::preface::yes;
    // No part of the preface is a whole head; with what has just come it may be one.
    if (!has_found_http2_) decoder_.next(std::string_view(preface_).substr(0, older));
    return has_found_http2_;
}

h1::event h1_server_connection::take_head() {
    const h1::step found = decoder_.next(input().unread);
    input().unread.remove_prefix(found.consumed);
    return found.what;
}

/// Returns: false if there is no further request: the client has left, or was refused.
task<bool> h1_server_connection::receive_head(bool is_first) {
    for (;;) {
        if (may_be_http2_ && finds_http2()) co_return false;
        const h1::event found = take_head();
        if (found == h1::event::head) break;
        if (found == h1::event::failed) {
            const h1::problem why = decoder_.why();
            co_await refuse(why.status, why.text);
            co_return false;
        }
        if (input().has_ended()) co_return false;
        if (decoder_.is_untouched()) {
            if (server_.is_ending) co_return false;
        } else if (phase_ == phase::idle) {
            phase_ = phase::head;
            if (!is_first) link_->clock.set(server_.options.head);
        }
        input().release();
        while (!input().is_ready()) co_await input().wait();
        if (!input().is_stopped()) continue;
        input().resume();
        if (phase_ == phase::head) {
            co_await refuse(408, "the head of the request did not come in time");
            co_return false;
        }
        if (input().unread.empty()) co_return false;
    }
    co_return true;
}

/// Fills in the request that the handler sees. Its head stays in the decoder.
void h1_server_connection::begin_request() {
    const h1::request_head& head = decoder_.head();
    request_.begin(head.method, head.target);
    request_.headers = &head.headers;
    request_.version = head.minor == 0 ? http::version::http_1_0 : http::version::http_1_1;
    if (decoder_.content_length() >= 0)
        request_.length = static_cast<std::uint64_t>(decoder_.content_length());
    else if (decoder_.body_framing() == h1::framing::none)
        request_.length = 0;
    if (decoder_.body_framing() == h1::framing::none) decoder_.next({});  // the end
    wants_continue_ = decoder_.expects_continue() && input().unread.empty();
    begin_answer();
    phase_ = phase::answering;
    if (decoder_.has_ended() && input().unread.empty()) input().release(true);  // the next one
}

void h1_server_connection::end_request() noexcept {
    if (!is_cut_) phase_ = phase::leaving;
    request_.shrink();
}

task<> h1_server_connection::refuse(int status, std::string text) {
    request_.begin({}, {});
    request_.version = http::version::http_1_1;
    wants_continue_ = false;
    text += '\n';
    http::reply made = http::reply::text(std::move(text), status != 0 ? status : 400);
    made.close();
    co_await send(made);
    co_await linger();
}

// -- reading the body ----------------------------------------------------------------------------
task<std::string_view> h1_server_connection::read_body() {
    check_body();
    if (is_reading_) throw invalid_state_error("another task reads the body of this request");
    const flag_in reading(is_reading_);
    if (wants_continue_ && !cancel_requested()) {  // otherwise the next read says it
        wants_continue_ = false;
        co_await write("HTTP/1.1 100 Continue\r\n\r\n");
    }
    for (;;) {
        const h1::step found = next_of_body();
        if (found.what == h1::event::failed) {
            const h1::problem why = decoder_.why();
            fail_body(why.status != 0 ? why.status : 400, why.text);
        }
        if (found.what == h1::event::end) break;
        if (!found.body.empty()) co_return found.body;
        if (!input().unread.empty() || input().has_ended()) continue;
        input().release();
        const time_in limited(link_->clock, server_.options.read);
        while (!input().is_ready()) co_await input().wait();
        if (!input().is_stopped()) continue;
        input().resume();
        if (input().unread.empty() && !input().has_ended())
            fail_body(408, "the body of the request did not come in time");
    }
    if (input().unread.empty()) input().release(true);
    if (input().has_ended()) peer_has_ended();
    co_return std::string_view();
}

h1::step h1_server_connection::next_of_body() {
    const h1::step found = input().unread.empty() && input().has_ended()
                               ? decoder_.finish()
                               : decoder_.next(input().unread);
    input().unread.remove_prefix(found.consumed);
    return found;
}

/// Reads what is left of the body, so that the next request can be found: at most 64 KiB, for at
/// most a second. Returns: false if that was not all.
task<bool> h1_server_connection::skip_body() {
    phase_ = phase::leaving;
    const std::uint64_t before = decoder_.body_bytes();
    const time_in limited(link_->clock, http_link::skipped_time);
    for (;;) {
        const h1::step found = next_of_body();
        if (found.what == h1::event::end) break;
        if (found.what == h1::event::failed) co_return false;
        if (decoder_.body_bytes() - before > http_link::skipped_bytes)
            co_return false;
        if (found.what == h1::event::body || input().has_ended()) continue;
        input().release();
        while (!input().is_ready()) co_await input().wait();
        if (!input().is_stopped()) continue;
        input().resume();
        co_return false;
    }
    co_return true;
}

/// Lets the client read the last reply.
task<> h1_server_connection::linger() {
    if (decoder_.has_ended() && input().unread.empty()) co_return;
    try {
        phase_ = phase::writing;
        const time_in limited(link_->clock, http_link::skipped_time);
        co_await stream_->shutdown_write();
        phase_ = phase::leaving;
        co_await link_->skip_rest();
    } catch (const std::exception&) {  // the connection is lost
    }
    phase_ = phase::leaving;
}

// -- events --------------------------------------------------------------------------------------
void h1_server_connection::begin_end() noexcept {
    if (phase_ == phase::idle) input().stop();
    if (upgraded_ != nullptr && upgraded_->user != nullptr) upgraded_->user->begin_end();
}

/// The reading task has come to the end. A client that has gone needs no reply.
void h1_server_connection::peer_has_ended() noexcept {
    const bool has_all = decoder_.has_ended() && !server_.options.half_close;
    if (is_at_work_ && (input().is_lost() || has_all)) leave();
}

void h1_server_connection::time_is_up() noexcept {
    if (phase_ == phase::writing)
        leave();
    else
        input().stop();
}

void h1_server_connection::leave() noexcept {
    is_gone_ = true;
    if (phase_ == phase::writing) stream_->abort();  // the write may be shielded
    link_->scope.cancel();
}

void h1_server_connection::finish() noexcept {
    if (phase_ != phase::answering && phase_ != phase::writing) return;
    stream_->abort();  // in the middle of a reply
    abandon();
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
