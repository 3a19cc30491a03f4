// SPDX-License-Identifier: MIT
// State behind a response: the exchange, and what reading its body needs.
#pragma once

#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <rondo/http/response.hpp>

#include "http/client/exchange.hpp"
#include "http/client/request_spec.hpp"
#include "http/client/session_state.hpp"
#include "http/coding.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

struct http_response {
    explicit http_response(std::shared_ptr<http_session> of) : session(std::move(of)) {}
    http_response(const http_response&) = delete;
    http_response& operator=(const http_response&) = delete;
    ~http_response() { tell_end(); }

    // -- the head, filled by send.cpp ------------------------------------------------------------
    std::shared_ptr<http_session> session;
    http_budget budget;
    http_incoming head;
    http::url url;
    std::vector<http::hop> history;
    http::timing times;
    bool has_timeout = false;    // the budget has a total that the request asked for
    bool decodes_files = false;  // decode(true) was asked for
    std::unique_ptr<http_exchange> exchange;
    std::unique_ptr<http_request> request;  // for events(), which ask again

    // -- the body --------------------------------------------------------------------------------
    /// Decides how the body is decoded and timed.
    void begin_body(bool decode);
    /// The next decoded bytes, good until the next call; empty at the end.
    task<std::string_view> read();
    /// Puts the rest of what read() gave back: the next read gives it first.
    void unread(std::string_view rest) noexcept { ahead_ = rest; }
    /// From now on the body is given as it is sent.
    void decode_nothing() noexcept { decoder_.reset(); }
    /// From now on the total of the session holds, if the request has none of its own.
    void limit_total() noexcept;

    /// Gives the connection back. Reads throw from now on, whether the rest had come or not.
    void close() noexcept {
        is_closed_ = true;
        tell_end();
        exchange->release();
    }
    /// Tells the trace that nothing more is read.
    void tell_end() noexcept {
        if (std::exchange(is_told_, true)) return;
        budget.tell(http::trace_point::end, {.bytes = raw_bytes_});
    }

    std::string line;  // a line or a whole body, as far as it has come

private:
    task<std::string_view> read_raw();
    task<std::string_view> read_decoded();
    void check_speed(duration waited, std::size_t bytes);
    [[noreturn]] void fail() const;

    static constexpr std::size_t decoded_bytes = std::size_t{32} * 1024;
    std::optional<http::content_decoder> decoder_;
    std::unique_ptr<char[]> decoded_;
    std::string_view raw_;    // not decoded yet
    std::string_view ahead_;  // given back
    bool raw_ended_ = false;
    bool is_full_ = false;    // the decoder may have more without input
    bool is_event_stream_ = false;
    bool has_ended_ = false;
    bool is_closed_ = false;
    bool is_told_ = true;  // the end, to a trace; false from the head on
    std::uint64_t raw_bytes_ = 0;
    std::exception_ptr failed_;
    duration slow_for_{};  // the time waited in this window of low_speed
    std::uint64_t slow_bytes_ = 0;
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
