// SPDX-License-Identifier: MIT
// The engine: calls of the owner become frames.
#ifdef RONDO_WITH_NGHTTP2
#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include <rondo/config.hpp>
#include <rondo/http/error.hpp>

#include "http/h2/callbacks.hpp"

namespace rondo {
inline namespace v0 {
namespace http {
namespace h2 {

namespace {

std::int32_t number(const stream& of) { return static_cast<std::int32_t>(of.id()); }

void check_size(const field_list& list) {
    if (list.bytes() > max_sent_head / 2)
        throw error("the head is larger than " + std::to_string(max_sent_head / 2) + " bytes");
}

/// The fields of a reply's head. They point to `headers`.
struct reply_head {
    char digits[4];
    field_list list;

    reply_head(int status, const http::fields& headers) {
        const auto end = std::to_chars(digits, digits + sizeof digits, status);
        list.add(":status", {digits, static_cast<std::size_t>(end.ptr - digits)});
        list.add_all(headers);
        check_size(list);
    }
    reply_head(const reply_head&) = delete;
};

}  // namespace

stream::~stream() {
    if (engine_ != nullptr) engine_->detach(*this);
}

// -- the session ---------------------------------------------------------------------------------
engine::engine(h2::role side, const options& how, observer& watcher)
    : observer_(watcher), options_(how), role_(side) {
    session_ = open_session(side, *this);
    refill();
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, how.stream_window},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, static_cast<std::uint32_t>(how.head_bytes)},
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
        side == role::client
            ? nghttp2_settings_entry{NGHTTP2_SETTINGS_ENABLE_PUSH, 0}
            : nghttp2_settings_entry{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, how.streams}};
    int status =
        nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings, std::size(settings));
    if (status == 0)
        status = nghttp2_session_set_local_window_size(
            session_, NGHTTP2_FLAG_NONE, 0, static_cast<std::int32_t>(how.connection_window));
    if (status == 0) return;
    nghttp2_session_del(session_);
    throw error(std::string("HTTP/2: the options are refused: ") + nghttp2_strerror(status));
}

engine::~engine() {
    while (!all_.empty()) {
        stream& left = all_.pop();
        if (left.of_told_.linked()) told_.remove(left);
        left.engine_ = nullptr;
        left.is_open_ = false;
        left.unsent_ = {};
    }
    nghttp2_session_del(session_);
}

void engine::check(int status) {
    if (status == 0) return;
    if (thrown_) std::rethrow_exception(std::exchange(thrown_, nullptr));
    if (status == NGHTTP2_ERR_NOMEM) throw std::bad_alloc();
    throw error(std::string("HTTP/2: ") + nghttp2_strerror(status));
}

void engine::note_failure(code why, std::string reason) {
    has_failed_ = is_ending_ = true;
    why_code_ = why;
    why_ = std::move(reason);
    if (!why_.empty()) why_ += ' ';
    why_ += '(' + text(why) + ')';
}

// -- bytes ---------------------------------------------------------------------------------------
void engine::receive(std::string_view bytes) {
    if (has_failed_) return;
    const auto* const at = reinterpret_cast<const std::uint8_t*>(bytes.data());
    const ssize_t taken = nghttp2_session_mem_recv(session_, at, bytes.size());
    if (taken >= 0) return;
    if (over_budget_ != nullptr) {
        note_failure(code::enhance_your_calm, std::exchange(over_budget_, nullptr));
    } else if (taken == NGHTTP2_ERR_BAD_CLIENT_MAGIC) {
        note_failure(code::protocol_error, "the first bytes are not those of HTTP/2");
    } else if (taken == NGHTTP2_ERR_FLOODED || taken == NGHTTP2_ERR_TOO_MANY_CONTINUATIONS) {
        note_failure(code::enhance_your_calm, nghttp2_strerror(static_cast<int>(taken)));
    } else {
        note_failure(code::internal_error, nghttp2_strerror(static_cast<int>(taken)));
        nghttp2_session_terminate_session(session_, NGHTTP2_INTERNAL_ERROR);
        return check(static_cast<int>(taken));
    }
    check(nghttp2_session_terminate_session(session_, static_cast<std::uint32_t>(why_code_)));
}

std::size_t engine::produce(std::string& to, std::size_t limit) {
    const std::size_t before = to.size();
    out_ = &to;
    out_limit_ = before + limit;
    ssize_t size = 0;
    while (to.size() - before < limit) {
        const std::uint8_t* bytes = nullptr;
        size = nghttp2_session_mem_send(session_, &bytes);
        if (size <= 0) break;
        to.append(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size));
    }
    out_ = nullptr;
    if (over_budget_ != nullptr) {
        note_failure(code::enhance_your_calm, std::exchange(over_budget_, nullptr));
        check(nghttp2_session_terminate_session(session_, NGHTTP2_ENHANCE_YOUR_CALM));
    } else if (size < 0) {
        check(static_cast<int>(size));
    }
    tell_sent();
    if (has_failed_) close_failed();
    return to.size() - before;
}

void engine::tell_sent() {
    while (!told_.empty()) told_.pop().on_sent();
}

void engine::close_failed() {
    closing how;
    how.code = why_code_;
    how.why = why_;
    abandon(how);
}

void engine::abandon(const closing& how) {
    for (;;) {
        stream* at = all_.first();
        while (at != nullptr && !at->is_open_) at = all_.next(*at);
        if (at == nullptr) return;
        at->is_open_ = false;
        at->unsent_ = {};
        --open_;
        nghttp2_session_set_stream_user_data(session_, number(*at), nullptr);
        at->on_closed(how);
    }
}

bool engine::wants_to_write() const noexcept { return nghttp2_session_want_write(session_) != 0; }

bool engine::wants_to_read() const noexcept {
    return !has_failed_ && nghttp2_session_want_read(session_) != 0;
}

bool engine::is_over() const noexcept {
    return nghttp2_session_want_read(session_) == 0 && nghttp2_session_want_write(session_) == 0;
}

void engine::refill() noexcept {
    resets_left_ = options_.resets;
    idle_left_ = options_.idle_frames;
}

// -- streams -------------------------------------------------------------------------------------
void engine::begin(stream& by, std::int32_t id) {
    RONDO_ASSERT(by.engine_ == nullptr, "a stream of HTTP/2 is used once");
    by.engine_ = this;
    by.id_ = static_cast<std::uint32_t>(id);
    by.is_open_ = true;
    by.window_ = options_.stream_window;
    all_.append(by);
    ++open_;
    // Of a request it is set already: its stream begins when it is produced.
    if (role_ == role::server) nghttp2_session_set_stream_user_data(session_, id, &by);
}

/// The stream is destroyed.
void engine::detach(stream& from) noexcept {
    if (from.is_open_) reset(from, code::cancel);
    consume(from, from.unconsumed_);
    if (from.of_told_.linked()) told_.remove(from);
    all_.remove(from);
    from.engine_ = nullptr;
}

void engine::reset(stream& on, code why) {
    if (!on.is_open_) return;
    on.is_open_ = false;
    on.unsent_ = {};
    --open_;
    // No memory: then it is reset with the connection.
    nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, number(on),
                              static_cast<std::uint32_t>(why));
    nghttp2_session_set_stream_user_data(session_, number(on), nullptr);
}

/// Resets it because of a fault of the peer; on_closed follows.
void engine::break_off(stream& from, code why, const char* text) {
    from.is_broken_off_ = true;
    from.why_ = text;
    from.why_code_ = why;
    check(nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, number(from),
                                    static_cast<std::uint32_t>(why)));
}

// -- messages ------------------------------------------------------------------------------------
bool engine::can_request() const noexcept {
    return nghttp2_session_check_request_allowed(session_) != 0 && !is_ending_ &&
           open_ < peer_streams();
}

void engine::request(stream& on, const request_line& line, const http::fields& headers,
                     bool has_body) {
    field_list list;
    list.add(":method", line.method);
    if (line.method != "CONNECT") {
        list.add(":scheme", line.scheme);
        list.add(":path", line.path);
    }
    list.add(":authority", line.authority);
    list.add_all(headers, "content-length");
    if (!line.content_length.empty()) list.add("content-length", line.content_length);
    check_size(list);
    const nghttp2_data_provider provider = body_provider();
    const std::int32_t id = nghttp2_submit_request(session_, nullptr, list.data(), list.size(),
                                                   has_body ? &provider : nullptr, &on);
    if (id < 0) check(id);
    begin(on, id);
}

void engine::respond(stream& on, int status, const http::fields& headers, bool has_body) {
    if (!on.is_open_) return;
    const reply_head head(status, headers);
    const nghttp2_data_provider provider = body_provider();
    check(nghttp2_submit_response(session_, number(on), head.list.data(), head.list.size(),
                                  has_body ? &provider : nullptr));
}

void engine::respond_interim(stream& on, int status, const http::fields& headers) {
    if (!on.is_open_) return;
    const reply_head head(status, headers);
    check(nghttp2_submit_headers(session_, NGHTTP2_FLAG_NONE, number(on), nullptr,
                                 head.list.data(), head.list.size(), nullptr));
}

void engine::write(stream& on, std::string_view bytes, bool is_last) {
    if (!on.is_open_) return;
    RONDO_ASSERT(on.unsent_.empty() && !on.is_last_,
                 "a stream of HTTP/2 takes bytes when those before have gone");
    on.unsent_ = bytes;
    on.is_last_ = is_last;
    if (!bytes.empty() || is_last) resume(on);
}

void engine::finish(stream& on, const http::fields& trailers) {
    if (!on.is_open_ || on.is_last_) return;
    field_list list(trailers);
    check_size(list);
    if (list.size() != 0) {
        on.sent_trailers_ = trailers;
        on.has_trailers_ = true;
    }
    on.is_last_ = true;
    resume(on);
}

void engine::ask(stream& on) {
    if (!on.is_open_) return;
    on.is_asking_ = true;
    resume(on);
}

std::size_t engine::room(const stream& on) const noexcept {
    if (!on.is_open_ || nghttp2_session_get_remote_window_size(session_) <= 0) return 0;
    const auto window = nghttp2_session_get_stream_remote_window_size(session_, number(on));
    return static_cast<std::size_t>(std::max(window, 0));
}

bool engine::is_shut(const stream& on) const noexcept {
    return nghttp2_session_get_stream_remote_window_size(session_, number(on)) <= 0;
}

void engine::take_back(stream& on) noexcept {
    if (on.unsent_.empty()) return;
    on.unsent_ = {};
    on.is_last_ = false;
}

void engine::resume(stream& on) {
    if (!std::exchange(on.is_deferred_, false)) return;
    check(nghttp2_session_resume_data(session_, number(on)));
}

// -- the peer's windows --------------------------------------------------------------------------
void engine::consume(stream& on, std::size_t count) {
    count = std::min(count, on.unconsumed_);
    if (count == 0 || on.engine_ == nullptr) return;
    on.unconsumed_ -= count;
    // No memory: then the window stays as it is.
    nghttp2_session_consume(session_, number(on), count);
}

/// Begins to measure a round trip if much has come since the last one.
void engine::measure(stream& by) noexcept {
    if (measured_ != 0 || by.window_ >= options_.stream_window_max ||
        by.received_ - by.measured_from_ < by.window_ / 4)
        return;
    const std::uint8_t mark[8] = {measuring_ping};
    if (nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, mark) != 0) return;
    by.measured_from_ = by.received_;
    measured_ = by.id_;
}

/// The round trip is over. If more than half of the window came in it, and the reader has kept up,
/// the window is what limits the stream.
void engine::take_measure() {
    const auto id = static_cast<std::int32_t>(std::exchange(measured_, 0));
    auto* const by = static_cast<stream*>(nghttp2_session_get_stream_user_data(session_, id));
    if (by == nullptr) return;
    const bool is_limiting =
        by->received_ - by->measured_from_ > by->window_ / 2 && by->unconsumed_ <= by->window_ / 4;
    by->measured_from_ = by->received_;
    if (!is_limiting) return;
    by->window_ = std::min(by->window_ * 2, options_.stream_window_max);
    check(nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, id,
                                                static_cast<std::int32_t>(by->window_)));
}

// -- the connection ------------------------------------------------------------------------------
void engine::ping() {
    const std::uint8_t mark[8] = {};
    check(nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, mark));
}

void engine::announce_end() {
    if (!is_ending_) check(nghttp2_submit_shutdown_notice(session_));
}

void engine::end(code why, std::string_view text) {
    if (has_failed_) return;
    is_ending_ = true;
    end_code_ = why;
    const auto last = nghttp2_session_get_last_proc_stream_id(session_);
    check(nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE, last, static_cast<std::uint32_t>(why),
                                reinterpret_cast<const std::uint8_t*>(text.data()), text.size()));
}

std::uint32_t engine::peer_streams() const noexcept {
    return nghttp2_session_get_remote_settings(session_, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
}

}  // namespace h2
}  // namespace http
}  // namespace v0
}  // namespace rondo
#endif
