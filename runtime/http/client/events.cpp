// SPDX-License-Identifier: MIT
// Server-sent events: reading them, and connecting again.
#include "http/client/events.hpp"

#include <algorithm>

#include <rondo/cancel.hpp>
#include <rondo/http/request_builder.hpp>
#include <rondo/loop.hpp>
#include <rondo/sleep.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

using namespace std::chrono_literals;

/// The shortest pause after a connection that gave nothing, whatever the server says.
constexpr duration fruitless_pause = 500ms;
constexpr std::string_view last_event_id = "last-event-id";

/// Throws unless `from` is a stream of events, as the standard wants it. The caller looks at status
/// 204.
void check_event_stream(const http::response& from) {
    from.raise_for_status();
    const http::parameters type(from.header("content-type").value_or(""));
    if (from.status() != 200 || !http::same_word(type.value(), "text/event-stream"))
        throw http::error("no event stream, but status " + std::to_string(from.status()) +
                              " and type \"" + type.value() + '"',
                          "GET", from.url().text());
}

}  // namespace

http_events::http_events(http::response response, std::unique_ptr<http_request> request,
                         std::optional<time_point> until, http::event_stream_options how)
    : from(std::move(response)),
      parser(how.event_bytes),
      request_(std::move(request)),
      until_(until),
      options_(how) {
    has_ended = from.status() == 204;
    if (!has_ended) check_event_stream(from);
    if (!how.reconnect) request_.reset();
}

std::optional<http::server_event> http_events::take() {
    while (!unread_.empty()) {
        const auto step = parser.next(unread_);
        unread_.remove_prefix(step.consumed);
        if (step.is_too_long)
            throw http::limit_error("an event is longer than " +
                                        std::to_string(options_.event_bytes) + " bytes",
                                    "GET", from.url().text());
        if (!step.has_event) continue;
        fruitless_ = 0;
        gave_event_ = true;
        return std::move(parser.event());
    }
    return std::nullopt;
}

task<> http_events::wait() {
    if (is_open_)
        co_await read();
    else
        co_await connect();
}

/// Twice the pause for each connection that gave nothing, from the second one on.
duration http_events::pause() const noexcept {
    const duration most = options_.delay_max;
    duration span = options_.delay;
    if (parser.retry()) span = std::min(to_duration(*parser.retry()), most);
    if (fruitless_ > 0) span = std::max(span, fruitless_pause);
    for (int i = 1; i < fruitless_ && span < most; ++i) span *= 2;
    return std::min(span, most);
}

/// The connection has ended, for the reason `why`; null: in order.
void http_events::lose(std::exception_ptr why) {
    is_open_ = false;
    from.close();
    if (!request_) {
        if (why) std::rethrow_exception(why);
        has_ended = true;
        return;
    }
    if (!gave_event_) ++fruitless_;
    if (options_.attempts > 0 && fruitless_ >= options_.attempts) {
        if (why) std::rethrow_exception(why);
        throw http::error("the server ended " + std::to_string(fruitless_) +
                              " connections in a row without an event",
                          "GET", from.url().text());
    }
    again_at_ = running_loop().time() + pause();
}

task<chunk> http_events::read_within_silence() {
    if (options_.silence <= duration::zero()) co_return co_await from.read_some();
    auto came = co_await move_on_after(options_.silence, from.read_some());
    if (!came) throw http::error("the server was silent for too long", "GET", from.url().text());
    co_return *came;
}

task<> http_events::read() {
    std::exception_ptr why;
    try {
        const chunk came = co_await read_within_silence();
        unread_ = came.text();
        if (came) co_return;
    } catch (const http::error&) {  // the connection was lost, or is of no use
        why = std::current_exception();
    }
    lose(why);
}

task<http::response> http_events::ask_again() {
    auto request = std::make_unique<http_request>(*request_);
    request->headers.set("accept", "text/event-stream").set("cache-control", "no-store");
    // An id that cannot be a field's value, as one with control characters, is not sent.
    const std::string& id = parser.last_id();
    if (!id.empty() && http::is_field_value(id)) request->headers.set(last_event_id, id);
    if (until_) request->timeout = std::max<duration>(*until_ - running_loop().time(), 1ns);
    request->layer = 0;
    return send_request(std::move(request));
}

/// Waits until it is time, and connects. A cancellation leaves the time as it is.
task<> http_events::connect() {
    if (until_ && again_at_ > *until_) again_at_ = *until_;
    auto waiting = sleep_until(again_at_);
    co_await std::move(waiting);
    std::exception_ptr why;
    gave_event_ = false;
    try {
        http::response again = co_await ask_again();
        has_ended = again.status() == 204;
        if (!has_ended) check_event_stream(again);
        from = std::move(again);
        parser.restart();
        is_open_ = !has_ended;
        co_return;
    } catch (const http::connect_error&) {
        why = std::current_exception();
    } catch (const http::protocol_error&) {
        why = std::current_exception();
    } catch (const http::timeout_error&) {
        if (until_ && running_loop().time() >= *until_) throw;
        why = std::current_exception();
    }
    lose(why);
}

}  // namespace detail

namespace http {

event_stream::event_stream(std::unique_ptr<rondo::detail::http_events> state) noexcept
    : state_(std::move(state)) {}
event_stream::event_stream(event_stream&&) noexcept = default;
event_stream& event_stream::operator=(event_stream&& other) noexcept {
    event_stream old(std::move(other));
    state_.swap(old.state_);
    return *this;
}
event_stream::~event_stream() = default;

rondo::detail::http_events& event_stream::state() const noexcept {
    RONDO_ASSERT(state_, "this stream of events was moved from");
    return *state_;
}

task<std::optional<server_event>> event_stream::next() {
    rondo::detail::http_events& from = state();
    if (cancel_requested()) throw cancelled();  // an event that has come stays for later
    if (from.failed) std::rethrow_exception(from.failed);
    try {
        for (;;) {
            auto event = from.take();
            if (event) co_return std::move(event);
            if (from.has_ended) co_return std::nullopt;
            co_await from.wait();
        }
    } catch (const std::exception&) {
        from.failed = std::current_exception();
        throw;
    }
}

const http::response& event_stream::response() const noexcept { return state().from; }
const std::string& event_stream::last_id() const noexcept { return state().parser.last_id(); }

}  // namespace http
}  // namespace v0
}  // namespace rondo
