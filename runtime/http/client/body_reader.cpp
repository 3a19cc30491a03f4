// SPDX-License-Identifier: MIT
// Reading the body of a response: decoding, and the limit of its speed.
#include "http/ascii.hpp"
#include "http/client/response_state.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

void http_response::begin_body(bool decode) {
    is_told_ = !budget.is_traced();
    if (decode && head.headers.contains("content-encoding")) {
        decoder_.emplace(head.headers.joined("content-encoding"));
        if (decoder_->is_identity()) decoder_.reset();
    }
    const std::string_view type = head.headers.get("content-type").value_or("");
    is_event_stream_ = http::same_word(http::ascii::trimmed(type.substr(0, type.find(';'))),
                                       "text/event-stream");
    if (is_event_stream_) exchange->wait_without_limit();
}

void http_response::limit_total() noexcept {
    if (!has_timeout && session) budget.limit_total(session->options.timeouts.total);
}

void http_response::fail() const {
    http::h1::raise(decoder_->why(), budget.method(), budget.url(), budget.bytes);
}

task<std::string_view> http_response::read() {
    if (failed_) std::rethrow_exception(failed_);
    if (has_ended_ && ahead_.empty()) co_return std::string_view();
    if (is_closed_) throw closed_error("the response is closed");
    if (!ahead_.empty()) co_return std::exchange(ahead_, {});
    try {
        std::string_view piece;
        if (decoder_)
            piece = co_await read_decoded();
        else
            piece = co_await read_raw();
        if (!piece.empty()) co_return piece;
    } catch (const std::exception& error) {
        failed_ = std::current_exception();
        if (!std::exchange(is_told_, true))
            budget.tell(http::trace_point::error, {.text = error.what()});
        throw;
    }
    has_ended_ = true;
    times.total = budget.spent();
    tell_end();
    co_return std::string_view();
}

task<std::string_view> http_response::read_raw() {
    const duration before = exchange->waited();
    const std::string_view piece = co_await exchange->read();
    const duration waited = exchange->waited() - before;
    raw_bytes_ += piece.size();
    if (!piece.empty())
        budget.tell(http::trace_point::chunk, {.took = waited, .bytes = piece.size()});
    if (session) check_speed(waited, piece.size());
    co_return piece;
}

task<std::string_view> http_response::read_decoded() {
    if (!decoded_) decoded_ = std::make_unique_for_overwrite<char[]>(decoded_bytes);
    for (;;) {
        if (raw_.empty() && !raw_ended_ && !is_full_) {
            raw_ = co_await read_raw();
            raw_ended_ = raw_.empty();
        }
        const auto step = decoder_->decode(raw_, decoded_.get(), decoded_bytes);
        raw_.remove_prefix(step.consumed);
        is_full_ = step.produced == decoded_bytes;
        if (step.has_failed) fail();
        if (step.produced != 0) co_return std::string_view(decoded_.get(), step.produced);
        if (!raw_ended_) continue;
        if (!decoder_->finish()) fail();
        co_return std::string_view();
    }
}

/// Only the time in which a task waited for bytes counts: a slow reader is not a slow server.
void http_response::check_speed(duration waited, std::size_t bytes) {
    const http::timeouts& limits = session->options.timeouts;
    if (is_event_stream_ || limits.low_speed <= duration::zero()) return;
    slow_for_ += waited;
    slow_bytes_ += bytes;
    if (slow_for_ < limits.low_speed || bytes == 0) return;
    const auto seconds = std::chrono::duration<double>(slow_for_).count();
    if (static_cast<double>(slow_bytes_) < seconds * static_cast<double>(limits.low_speed_bytes))
        throw http::timeout_error(http::phase::body, limits.low_speed, budget.method(),
                                  budget.url(), budget.bytes);
    slow_for_ = duration::zero();
    slow_bytes_ = 0;
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
