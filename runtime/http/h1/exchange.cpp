// SPDX-License-Identifier: MIT
// An exchange of HTTP/1.1: the decoder, the connection, and a buffer between them.
#include "http/client/exchange.hpp"

#include <algorithm>
#include <charconv>

#include <rondo/create_task.hpp>
#include <rondo/race.hpp>
#include <rondo/tls_error.hpp>

#include "http/h1/decoder.hpp"
#include "http/h1/encoder.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

using namespace std::chrono_literals;
namespace h1 = http::h1;

constexpr std::size_t first_buffer = http_buffers::size;
constexpr std::size_t large_buffer = std::size_t{256} * 1024 - 4096;
constexpr std::size_t small_body = std::size_t{64} * 1024;  // sent before the response is read
constexpr std::size_t written_at_once = std::size_t{128} * 1024;
constexpr std::uint64_t drained_bytes = 64 * 1024;
constexpr duration drained_time = 100ms;

h1::limits limits_of(const h1_options& options) {
    h1::limits bounds;
    bounds.head_bytes = options.head_bytes;
    bounds.fields = options.header_fields;
    return bounds;
}

class h1_exchange final : public http_exchange {
public:
    h1_exchange(http_lease lease, const h1_options& options, http_budget& budget)
        : lease_(std::move(lease)),
          options_(options),
          budget_(&budget),
          decoder_(limits_of(options)),
          buffers_(lease_.buffers()),
          was_reused_(lease_.is_reused()) {}
    ~h1_exchange() override {
        if (buffer_size_ == first_buffer) buffers_->give_back(std::move(buffer_));
    }

    task<http_incoming> ask(const http_outgoing& request) override;
    task<std::string_view> read() override;
    void wait_without_limit() noexcept override { options_.read = duration::zero(); }
    bool has_ended() const noexcept override { return decoder_.has_ended(); }
    const http::fields& trailers() const noexcept override { return decoder_.trailers(); }
    bool is_unanswered() const noexcept override { return !received_any_; }
    bool was_reused() const noexcept override { return was_reused_; }
    bool has_body_failed() const noexcept override { return body_failed_; }
    bool is_unsent() const noexcept override { return !sent_any_; }
    void release() noexcept override;
    task<> finish() override;
    http_switched take_switched() override;

    /// Reads what is left of the body, within bounds, and gives the connection back.
    static task<> drain(std::unique_ptr<h1_exchange> rest);
    std::unique_ptr<h1_exchange> take_over();

private:
    task<> send(const http_outgoing& request);
    task<> send_message(const http_outgoing& request);
    task<std::string_view> next_of(http::body_source& body);
    task<> send_body(http::body_source& body, bool chunked);
    task<> send_piece(std::string_view piece, bool chunked);
    task<> append_small(std::string& to, http::body_source& body, std::uint64_t size);
    [[noreturn]] void throw_wrong_size(const char* how) const;
    task<> write(const_buffer first, const_buffer second = {}, const_buffer third = {});
    task<> receive_head();
    task<> try_to_send(const http_outgoing& request);
    task<> try_to_receive_head();
    task<> receive(http::phase phase, duration limit, duration spent);
    task<> receive_body(duration spent);
    http_incoming take_incoming();
    h1::step step();
    [[noreturn]] void fail();
    duration keep_for(const http::fields& headers) const;
    void take_received() noexcept;
    bool is_reusable() const noexcept;
    bool may_drain() const noexcept;
    task<> read_rest();

    http_lease lease_;
    h1_options options_;
    http_budget* budget_;
    h1::response_decoder decoder_;
    std::shared_ptr<http_buffers> buffers_;
    std::unique_ptr<char[]> buffer_;
    std::size_t buffer_size_ = 0;
    std::string_view unread_;
    time_point began_{};
    time_point sent_at_{};  // all of the request, or as much as the peer took
    duration keep_{};       // after the response
    std::exception_ptr unsent_;   // why the request was not sent
    std::exception_ptr unheard_;  // why the head was not received
    bool was_reused_;
    bool lost_while_sending_ = false;
    bool sent_any_ = false;
    bool body_failed_ = false;
    bool sent_all_ = false;
    bool received_any_ = false;
    bool has_head_ = false;
    bool stream_ended_ = false;
};

// -- sending -------------------------------------------------------------------------------------
task<> h1_exchange::write(const_buffer first, const_buffer second, const_buffer third) {
    sent_any_ = true;
    co_await budget_->limited(http::phase::send, options_.read,
                              lease_.connection()->write_all(first, second, third));
}

task<std::string_view> h1_exchange::next_of(http::body_source& body) {
    try {
        co_return co_await body.next();
    } catch (const std::exception&) {
        body_failed_ = true;
        throw;
    }
}

/// In parts, so that the limit of a write is one of silence, not of the whole body.
task<> h1_exchange::send_piece(std::string_view piece, bool chunked) {
    while (!piece.empty()) {
        const std::string_view part = piece.substr(0, written_at_once);
        piece.remove_prefix(part.size());
        const h1::chunk_head head(part.size());
        if (chunked)
            co_await write(head.text(), part, h1::chunk_end);
        else
            co_await write(part);
        budget_->bytes += part.size();
    }
}

task<> h1_exchange::send_body(http::body_source& body, bool chunked) {
    std::optional<std::uint64_t> left = body.size();
    for (;;) {
        const std::string_view piece = co_await next_of(body);
        if (piece.empty()) break;
        if (left && piece.size() > *left) throw_wrong_size("longer");
        if (left) *left -= piece.size();
        co_await send_piece(piece, chunked);
    }
    if (left && *left != 0) throw_wrong_size("shorter");
    if (chunked) co_await write(h1::last_chunk);
}

/// Methods that mean something with a body say so even if it is empty.
bool wants_length(std::string_view method) {
    return method == "POST" || method == "PUT" || method == "PATCH";
}

task<> h1_exchange::append_small(std::string& to, http::body_source& body, std::uint64_t size) {
    const std::size_t end = to.size() + static_cast<std::size_t>(size);
    for (;;) {
        const std::string_view piece = co_await next_of(body);
        if (piece.empty()) break;
        to += piece;
        if (to.size() > end) throw_wrong_size("longer");
    }
    if (to.size() < end) throw_wrong_size("shorter");
}

void h1_exchange::throw_wrong_size(const char* how) const {
    throw http::error(std::string("the body is ") + how + " than it said", budget_->method(),
                      budget_->url());
}

task<> h1_exchange::send(const http_outgoing& request) {
    co_await send_message(request);
    sent_all_ = true;
    sent_at_ = running_loop().time();
    budget_->tell(http::trace_point::sent,
                  {.took = sent_at_ - began_, .bytes = budget_->bytes});
}

task<> h1_exchange::send_message(const http_outgoing& request) {
    http::body_source* const body = request.body;
    h1::body_length length = h1::body_length::none();
    const std::optional<std::uint64_t> size = body != nullptr ? body->size() : 0;
    if (!size)
        length = h1::body_length::chunked();
    else if (body != nullptr || wants_length(request.method))
        length = h1::body_length::exactly(*size);
    std::string head;
    h1::write_request_head(head, request.method, request.target, request.authority,
                           *request.headers, length);
    if (size && *size != 0 && *size <= small_body) {  // one call for both
        co_await append_small(head, *body, *size);
        co_await write(head);
        budget_->bytes += *size;
        co_return;
    }
    co_await write(head);
    if (body != nullptr) co_await send_body(*body, !size);
}

// -- receiving -----------------------------------------------------------------------------------
task<> h1_exchange::receive(http::phase phase, duration limit, duration spent) {
    if (lease_.connection() == nullptr) throw closed_error("the response is closed");
    if (!buffer_) {
        buffer_ = buffers_->take();
        buffer_size_ = first_buffer;
    }
    const buffer_view room(buffer_.get(), buffer_size_);
    const chunk came =
        co_await budget_->limited(phase, limit, lease_.connection()->read_some(room), spent);
    unread_ = came.text();
    stream_ended_ = !came;
    received_any_ = received_any_ || came;
    // A body that fills the buffer is a large one.
    if (came.size() == buffer_size_ && buffer_size_ == first_buffer && has_head_) {
        auto larger = std::make_unique_for_overwrite<char[]>(large_buffer);
        std::copy_n(buffer_.get(), buffer_size_, larger.get());
        unread_ = {larger.get(), came.size()};
        buffers_->give_back(std::exchange(buffer_, std::move(larger)));
        buffer_size_ = large_buffer;
    }
}

h1::step h1_exchange::step() {
    const h1::step found =
        unread_.empty() && stream_ended_ ? decoder_.finish() : decoder_.next(unread_);
    unread_.remove_prefix(found.consumed);
    if (found.what == h1::event::failed) fail();
    return found;
}

void h1_exchange::fail() {
    h1::raise(decoder_.why(), budget_->method(), budget_->url(), decoder_.body_bytes());
}

task<> h1_exchange::receive_head() {
    while (!has_head_) {
        duration limit{};  // none while the request is still being sent
        duration spent{};
        if (sent_all_ || lost_while_sending_) {
            limit = options_.headers;
            spent = running_loop().time() - sent_at_;
        }
        if (unread_.empty() && !stream_ended_)
            co_await receive(http::phase::headers, limit, spent);
        has_head_ = step().what == h1::event::head;
    }
}

/// Sends, and notes why it could not.
task<> h1_exchange::try_to_send(const http_outgoing& request) {
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

task<> h1_exchange::try_to_receive_head() {
    try {
        co_await receive_head();
    } catch (const std::exception&) {
        unheard_ = std::current_exception();
    }
}

task<http_incoming> h1_exchange::ask(const http_outgoing& request) {
    decoder_.begin(request.method, request.upgrade);
    began_ = running_loop().time();
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

http_incoming h1_exchange::take_incoming() {
    h1::response_head head = decoder_.take_head();
    http_incoming incoming;
    incoming.status = head.status;
    incoming.version = head.minor == 0 ? http::version::http_1_0 : http::version::http_1_1;
    incoming.reason = std::move(head.reason);
    incoming.headers = std::move(head.headers);
    if (decoder_.content_length() >= 0)
        incoming.content_length = static_cast<std::uint64_t>(decoder_.content_length());
    keep_ = keep_for(incoming.headers);
    if (budget_->is_traced()) {
        const time_point since = sent_all_ ? sent_at_ : began_;
        budget_->tell(http::trace_point::head,
                      {.took = running_loop().time() - since, .status = incoming.status});
    }
    budget_->bytes = 0;
    if (decoder_.is_upgraded()) return incoming;  // take_switched() follows
    const h1::framing framing = decoder_.body_framing();
    if (framing == h1::framing::none ||
        (framing == h1::framing::length && decoder_.content_length() == 0))
        release();  // no body: the connection is free at once
    return incoming;
}

task<std::string_view> h1_exchange::read() {
    // The limit is for all waits of this read: bytes of the framing are none of the body.
    std::optional<time_point> began;
    for (;;) {
        const h1::step found = step();
        if (found.what == h1::event::end) break;
        if (!found.body.empty()) {
            budget_->bytes = decoder_.body_bytes();
            co_return found.body;
        }
        if (!unread_.empty() || stream_ended_) continue;
        const time_point now = running_loop().time();
        if (!began) began = now;
        co_await receive_body(now - *began);
    }
    release();
    co_return std::string_view();
}

task<> h1_exchange::receive_body(duration spent) {
    try {
        co_await receive(http::phase::body, options_.read, spent);
    } catch (const tls_truncated_error&) {
        // The end of the connection is not the server's. Only a stated length can end the body.
        if (decoder_.body_framing() == h1::framing::close)
            throw http::body_error("the connection was cut: TLS ended without a farewell",
                                   budget_->method(), budget_->url(), decoder_.body_bytes());
        stream_ended_ = true;
    } catch (const rondo::timeout_error&) {
        throw;
    } catch (const tls_error& error) {
        throw http::body_error(error.what(), budget_->method(), budget_->url(),
                               decoder_.body_bytes());
    } catch (const std::system_error& error) {
        throw http::body_error(error.what(), budget_->method(), budget_->url(),
                               decoder_.body_bytes());
    }
}

// -- the connection afterwards -------------------------------------------------------------------
bool h1_exchange::is_reusable() const noexcept {
    return decoder_.keep_alive() && sent_all_ && unread_.empty() && !stream_ended_;
}

/// The server's "keep-alive: timeout=5" wins over our own time. A second less is safe: it counts
/// from when it has sent the response.
duration h1_exchange::keep_for(const http::fields& headers) const {
    constexpr std::string_view name = "timeout=";
    const std::string_view value = headers.get("keep-alive").value_or("");
    for (const std::string_view element : http::split_list(value)) {
        if (!http::same_word(element.substr(0, name.size()), name)) continue;
        unsigned seconds = 0;
        const char* const begin = element.data() + name.size();
        const auto parsed = std::from_chars(begin, element.data() + element.size(), seconds);
        if (parsed.ec != std::errc()) continue;
        const std::chrono::seconds least(seconds > 1 ? std::min(seconds, 3600U) - 1 : 0);
        return least;
    }
    return options_.keep_alive;
}

/// Drops the rest of the body as far as it has come.
void h1_exchange::take_received() noexcept {
    try {
        for (h1::step found{h1::event::body, 0, {}};
             found.what == h1::event::body || found.consumed != 0;) {
            found = decoder_.next(unread_);
            unread_.remove_prefix(found.consumed);
        }
    } catch (const std::bad_alloc&) {  // of a trailer: then the connection is not used again
    }
}

bool h1_exchange::may_drain() const noexcept {
    return has_head_ && sent_all_ && !stream_ended_ && !decoder_.has_ended() &&
           decoder_.body_framing() != h1::framing::close &&
           decoder_.content_length() <= std::int64_t{drained_bytes};
}

task<> h1_exchange::read_rest() {
    const std::uint64_t before = decoder_.body_bytes();
    try {
        while (!decoder_.has_ended() && decoder_.body_bytes() - before < drained_bytes)
            co_await read();
    } catch (const std::exception&) {  // it is closed
    }
}

task<> h1_exchange::finish() {
    if (lease_.connection() != nullptr && may_drain()) {
        auto reading = read_rest();
        co_await move_on_after(drained_time, std::move(reading));
        if (lease_.connection() != nullptr) lease_.connection()->abort();
        lease_.reset();
    }
    release();
}

void h1_exchange::release() noexcept {
    if (lease_.connection() == nullptr) return;
    if (has_head_) take_received();
    if (is_reusable()) return lease_.give_back(keep_);
    if (may_drain() && !cancel_requested()) {
        try {
            create_task(drain(take_over()), {.name = "rest of an HTTP response"});
            return;
        } catch (...) {  // no loop, no memory: it is closed instead
        }
    }
    if (lease_.connection() != nullptr) lease_.connection()->abort();
    lease_.reset();
}

http_switched h1_exchange::take_switched() {
    if (!decoder_.is_upgraded() || lease_.connection() == nullptr) return {};
    http_switched taken;
    taken.unread = unread_;
    taken.connection = lease_.take();
    return taken;
}

std::unique_ptr<h1_exchange> h1_exchange::take_over() {
    auto rest = std::make_unique<h1_exchange>(http_lease(), options_, *budget_);
    rest->decoder_ = decoder_;
    rest->buffers_ = buffers_;
    rest->buffer_ = std::move(buffer_);
    rest->buffer_size_ = std::exchange(buffer_size_, 0);
    rest->unread_ = std::exchange(unread_, {});
    rest->keep_ = keep_;
    rest->sent_all_ = rest->has_head_ = true;
    rest->lease_ = std::move(lease_);
    return rest;
}

task<> h1_exchange::drain(std::unique_ptr<h1_exchange> rest) {
    http_budget budget;
    budget.limit_total(drained_time);
    rest->budget_ = &budget;
    co_await rest->read_rest();
    if (rest->lease_.connection() == nullptr) co_return;
    rest->lease_.connection()->abort();
    rest->lease_.reset();
}

}  // namespace

std::unique_ptr<http_exchange> make_h1_exchange(http_lease lease, const h1_options& options,
                                                http_budget& budget) {
    return std::make_unique<h1_exchange>(std::move(lease), options, budget);
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
