// SPDX-License-Identifier: MIT
// An exchange of HTTP/1.1: the decoder, the connection, and a buffer between them.
#include "http/client/asking.hpp"

#include <algorithm>
#include <charconv>

#include <rondo/create_task.hpp>
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
constexpr std::uint64_t drained_bytes = 64 * 1024;
constexpr duration drained_time = 100ms;

h1::limits limits_of(const exchange_options& options) {
    h1::limits bounds;
    bounds.head_bytes = options.head_bytes;
    bounds.fields = options.header_fields;
    return bounds;
}

class h1_exchange final : public http_asking {
public:
    h1_exchange(http_lease lease, const exchange_options& options, http_budget& budget)
        : http_asking(options, budget),
          lease_(std::move(lease)),
          decoder_(limits_of(options)),
          buffers_(lease_.buffers()),
          was_reused_(lease_.is_reused()) {}
    ~h1_exchange() override {
        if (buffer_size_ == first_buffer) buffers_->give_back(std::move(buffer_));
    }

    task<std::string_view> read() override;
    bool has_ended() const noexcept override { return decoder_.has_ended(); }
    const http::fields& trailers() const noexcept override { return decoder_.trailers(); }
    bool is_unanswered() const noexcept override { return !received_any_; }
    bool was_reused() const noexcept override { return was_reused_; }
    bool is_unsent() const noexcept override { return !sent_any_; }
    bool is_refused() const noexcept override { return false; }
    void release() noexcept override;
    task<> finish() override;
    http_switched take_switched() override;

    /// Reads what is left of the body, within bounds, and gives the connection back.
    static task<> drain(std::unique_ptr<h1_exchange> rest);
    std::unique_ptr<h1_exchange> take_over();

private:
    void begin(const http_outgoing& request) override {
        decoder_.begin(request.method, request.upgrade);
    }
    void write_head(std::string& out, const http_outgoing& request,
                    h1::body_length length) override;
    task<> send_first(std::string_view out, bool) override { return write(out); }
    task<> send_part(std::string_view part) override;
    task<> send_end() override;
    task<> receive_head() override;
    http_incoming take_head() override;
    void end_if_empty() noexcept override;

    task<> write(const_buffer first, const_buffer second = {}, const_buffer third = {});
    task<> receive(http::phase phase, duration limit, duration spent);
    task<> receive_body(duration spent);
    h1::step step();
    [[noreturn]] void fail();
    duration keep_for(const http::fields& headers) const;
    void take_received() noexcept;
    bool is_reusable() const noexcept;
    bool may_drain() const noexcept;
    task<> read_rest();

    http_lease lease_;
    h1::response_decoder decoder_;
    std::shared_ptr<http_buffers> buffers_;
    std::unique_ptr<char[]> buffer_;
    std::size_t buffer_size_ = 0;
    std::string_view unread_;
    duration keep_{};  // after the response
    bool was_reused_;
    bool is_chunked_ = false;
    bool sent_any_ = false;
    bool received_any_ = false;
    bool stream_ended_ = false;
};

// -- sending -------------------------------------------------------------------------------------
task<> h1_exchange::write(const_buffer first, const_buffer second, const_buffer third) {
    sent_any_ = true;
    co_await budget_->limited(http::phase::send, limits_.read,
                              lease_.connection()->write_all(first, second, third));
}

void h1_exchange::write_head(std::string& out, const http_outgoing& request,
                             h1::body_length length) {
    is_chunked_ = length.kind() == h1::framing::chunked;
    h1::write_request_head(out, request.method, request.target, request.authority, *request.headers,
                           length);
}

task<> h1_exchange::send_part(std::string_view part) {
    const h1::chunk_head head(part.size());
    if (is_chunked_)
        co_await write(head.text(), part, h1::chunk_end);
    else
        co_await write(part);
}

task<> h1_exchange::send_end() {
    if (is_chunked_) co_await write(h1::last_chunk);
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
    duration spent{};  // the wait begins when the request was sent
    while (!has_head_) {
        if (unread_.empty() && !stream_ended_)
            co_await receive(http::phase::headers, head_limit(), spent);
        has_head_ = step().what == h1::event::head;
        if (!has_head_) spent = head_spent();
    }
}

http_incoming h1_exchange::take_head() {
    h1::response_head head = decoder_.take_head();
    http_incoming incoming;
    incoming.status = head.status;
    incoming.version = head.minor == 0 ? http::version::http_1_0 : http::version::http_1_1;
    incoming.reason = std::move(head.reason);
    incoming.headers = std::move(head.headers);
    if (decoder_.content_length() >= 0)
        incoming.content_length = static_cast<std::uint64_t>(decoder_.content_length());
    keep_ = keep_for(incoming.headers);
    return incoming;
}

void h1_exchange::end_if_empty() noexcept {
    if (decoder_.is_upgraded()) return;  // take_switched() follows
    const h1::framing framing = decoder_.body_framing();
    if (framing == h1::framing::none ||
        (framing == h1::framing::length && decoder_.content_length() == 0))
        release();  // no body: the connection is free at once
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
        waited_ += running_loop().time() - now;
    }
    release();
    co_return std::string_view();
}

task<> h1_exchange::receive_body(duration spent) {
    try {
        co_await receive(http::phase::body, limits_.read, spent);
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
    return limits_.keep_alive;
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
    auto rest = std::make_unique<h1_exchange>(http_lease(), limits_, *budget_);
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

std::unique_ptr<http_exchange> make_h1_exchange(http_lease lease, const exchange_options& options,
                                                http_budget& budget) {
    return std::make_unique<h1_exchange>(std::move(lease), options, budget);
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
