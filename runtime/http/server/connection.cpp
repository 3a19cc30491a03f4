// SPDX-License-Identifier: MIT
// The way of requests through a connection of HTTP/1.1.
#include "http/server/connection.hpp"

#include <utility>

#include <rondo/cancel.hpp>
#include <rondo/error.hpp>

#include "http/server/files.hpp"

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

bool is_unopened_file(const http::reply& reply) noexcept {
    return reply.source() != nullptr && reply.source()->is_unopened_file();
}

}  // namespace

// -- the clock -----------------------------------------------------------------------------------
http_clock::http_clock(expiry on_expiry, void* context) noexcept
    : timer_node(due), on_expiry_(on_expiry), context_(context), home_(&running()) {}

http_clock::~http_clock() {
    if (is_set()) cancel_timer(*home_, *this);
}

void http_clock::set(duration limit) {
    if (limit <= duration::zero()) return clear();
    deadline_ = saturating_add(now(*home_), limit);
    if (is_set() && armed_ <= deadline_) return;
    if (is_set()) cancel_timer(*home_, *this);
    set_timer(*home_, *this, deadline_);
    armed_ = deadline_;
}

void http_clock::due(timer_node& node) noexcept {
    auto& self = static_cast<http_clock&>(node);
    if (self.deadline_ == time_point::max()) return;
    if (self.deadline_ > now(*self.home_)) {
        try {
            set_timer(*self.home_, self, self.deadline_);
            self.armed_ = self.deadline_;
            return;
        } catch (const std::bad_alloc&) {  // expires early
        }
    }
    self.clear();
    self.on_expiry_(self.context_);
}

// -- the connection ------------------------------------------------------------------------------
h1_server_connection::h1_server_connection(std::shared_ptr<http_server> server,
                                           std::unique_ptr<http_server_stream> stream)
    : server_(std::move(server)),
      stream_(std::move(stream)),
      direct_(stream_->direct()),
      input_(*stream_),
      clock_([](void* self) noexcept { static_cast<h1_server_connection*>(self)->time_is_up(); },
             this),
      decoder_(limits_of(server_->options)),
      facade_(request_) {
    request_.exchange = this;
    request_.server = server_.get();
}

task<> h1_server_connection::run() {
    children group("an HTTP connection", children::others::go_on);
    scope_ = &group;
    server_->connections.append(*this);
    try {
        group.start(input_.read_all(
            [](void* self) noexcept {
                static_cast<h1_server_connection*>(self)->peer_has_ended();
            },
            this));
        co_await talk();
    } catch (const cancelled&) {
        group.stopped();
    } catch (...) {
        if (!is_gone_) group.fail(std::current_exception());
    }
    server_->connections.remove(*this);
    if (phase_ == phase::answering || phase_ == phase::writing) {
        stream_->abort();  // in the middle of a reply
        if (!is_cut_) log(499);
    }
    group.cancel();
    co_await group.ended();
    group.rethrow_but_own_cancel();
}

task<> h1_server_connection::talk() {
    for (bool is_first = true;; is_first = false) {
        decoder_.begin();
        phase_ = phase::idle;
        if (take_head() != h1::event::head) {
            const bool has_head = co_await receive_head(is_first);
            if (!has_head) co_return;
        }
        co_await answer();
        if (!keep_) break;
    }
    if (!is_cut_) co_await linger();
}

h1::event h1_server_connection::take_head() {
    const h1::step found = decoder_.next(input_.unread);
    input_.unread.remove_prefix(found.consumed);
    return found.what;
}

/// Returns: false if there is no further request: the client has left, or was refused.
task<bool> h1_server_connection::receive_head(bool is_first) {
    const http::server_options& options = server_->options;
    clock_.set(is_first ? options.head : options.idle);
    for (;;) {
        const h1::event found = take_head();
        if (found == h1::event::head) break;
        if (found == h1::event::failed) {
            const h1::problem why = decoder_.why();
            co_await refuse(why.status, why.text);
            co_return false;
        }
        if (input_.has_ended()) co_return false;
        if (decoder_.is_untouched()) {
            if (server_->is_ending) co_return false;
        } else if (phase_ == phase::idle) {
            phase_ = phase::head;
            if (!is_first) clock_.set(options.head);
        }
        input_.release();
        while (!input_.is_ready()) co_await input_.wait();
        if (!input_.is_stopped()) continue;
        input_.resume();
        if (phase_ == phase::head) {
            co_await refuse(408, "the head of the request did not come in time");
            co_return false;
        }
        if (input_.unread.empty()) co_return false;
    }
    clock_.clear();
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
    wants_continue_ = decoder_.expects_continue() && input_.unread.empty();
    body_status_ = 0;
    body_error_.clear();
    trailers_.clear();
    sent_ = 0;
    began_ = now(running());
    is_at_work_ = true;
    phase_ = phase::answering;
    if (decoder_.has_ended() && input_.unread.empty()) input_.release();  // the next one
}

// The frame is small enough for the pool of frames: the rare ways have frames of their own.
task<> h1_server_connection::answer() {
    begin_request();
    std::exception_ptr error;
    try {
        reply_.emplace(co_await http::next_handler(*server_->routes, facade_)(facade_));
    } catch (const cancelled&) {
        throw;
    } catch (...) {
        error = std::current_exception();
    }
    if (error || is_unopened_file(*reply_)) co_await complete_reply(std::move(error));
    is_at_work_ = false;
    const int status = reply_->status();
    co_await send(*reply_);
    reply_.reset();
    if (keep_ && !decoder_.has_ended()) keep_ = co_await skip_body();
    if (!is_cut_) phase_ = phase::leaving;
    log(status);
    request_.shrink();
}

task<> h1_server_connection::complete_reply(std::exception_ptr error) {
    if (error) reply_.emplace(co_await reply_to_error(std::move(error)));
    if (!is_unopened_file(*reply_)) co_return;
    http::reply asked = std::move(*reply_);
    reply_.emplace(co_await open_reply_file(std::move(asked), facade_));
}

task<http::reply> h1_server_connection::reply_to_error(std::exception_ptr error) {
    std::optional<http::reply> made;
    try {
        std::rethrow_exception(error);
    } catch (const http::reply_error& meant) {
        made.emplace(http::reply::text(std::string(meant.what()) + '\n', meant.status()));
    } catch (...) {
    }
    if (made) co_return std::move(*made);
    if (server_->routes->on_error) {
        try {
            co_return co_await server_->routes->on_error(facade_, error);
        } catch (const cancelled&) {
            throw;
        } catch (...) {
            error = std::current_exception();
        }
    }
    report(error);
    co_return http::reply::status(500);
}

/// To the loop's exception handler: the client learns nothing of it.
void h1_server_connection::report(std::exception_ptr error) noexcept {
    try {
        exception_context context;
        context.message = "the handler of " + std::string(request_.method) + ' ' +
                          std::string(request_.path) + " failed";
        context.error = std::move(error);
        running_loop().call_exception_handler(context);
    } catch (...) {  // no memory for the report
    }
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
namespace {

/// A limit of time for a wait, which ends with the block.
class time_in {
public:
    time_in(http_clock& clock, duration limit) : clock_(clock) { clock_.set(limit); }
    time_in(const time_in&) = delete;
    ~time_in() { clock_.clear(); }

private:
    http_clock& clock_;
};

class flag_in {
public:
    explicit flag_in(bool& flag) noexcept : flag_(flag) { flag_ = true; }
    flag_in(const flag_in&) = delete;
    ~flag_in() { flag_ = false; }

private:
    bool& flag_;
};

}  // namespace

void h1_server_connection::fail_body(int status, std::string_view text) {
    body_status_ = status;
    body_error_ = text;
    throw http::reply_error(status, text);
}

task<std::string_view> h1_server_connection::read_body() {
    if (body_status_ != 0) throw http::reply_error(body_status_, body_error_);
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
        if (!input_.unread.empty() || input_.has_ended()) continue;
        input_.release();
        const time_in limited(clock_, server_->options.read);
        while (!input_.is_ready()) co_await input_.wait();
        if (!input_.is_stopped()) continue;
        input_.resume();
        if (input_.unread.empty() && !input_.has_ended())
            fail_body(408, "the body of the request did not come in time");
    }
    if (input_.unread.empty()) input_.release();
    if (input_.has_ended()) peer_has_ended();
    co_return std::string_view();
}

h1::step h1_server_connection::next_of_body() {
    const h1::step found = input_.unread.empty() && input_.has_ended()
                               ? decoder_.finish()
                               : decoder_.next(input_.unread);
    input_.unread.remove_prefix(found.consumed);
    return found;
}

/// Reads what is left of the body, so that the next request can be found: at most 64 KiB, for at
/// most a second. Returns: false if that was not all.
task<bool> h1_server_connection::skip_body() {
    phase_ = phase::leaving;
    const std::uint64_t before = decoder_.body_bytes();
    const time_in limited(clock_, skipped_time);
    for (;;) {
        const h1::step found = next_of_body();
        if (found.what == h1::event::end) break;
        if (found.what == h1::event::failed) co_return false;
        if (decoder_.body_bytes() - before > skipped_bytes) co_return false;
        if (found.what == h1::event::body || input_.has_ended()) continue;
        input_.release();
        while (!input_.is_ready()) co_await input_.wait();
        if (!input_.is_stopped()) continue;
        input_.resume();
        co_return false;
    }
    co_return true;
}

/// Lets the client read the last reply: to close a socket with unread bytes resets the connection,
/// and the client may lose what it has not read yet.
task<> h1_server_connection::linger() {
    if (decoder_.has_ended() && input_.unread.empty()) co_return;
    std::uint64_t left = skipped_bytes;
    try {
        phase_ = phase::writing;
        const time_in limited(clock_, skipped_time);
        co_await stream_->shutdown_write();
        phase_ = phase::leaving;
        while (!input_.has_ended() && input_.unread.size() <= left) {
            left -= input_.unread.size();
            input_.release();
            while (!input_.is_ready()) co_await input_.wait();
            if (input_.is_stopped()) break;
        }
    } catch (const std::exception&) {  // the connection is lost
    }
    phase_ = phase::leaving;
}

// -- events --------------------------------------------------------------------------------------
void h1_server_connection::begin_end() noexcept {
    if (phase_ == phase::idle) input_.stop();
    if (upgraded_ != nullptr && upgraded_->user != nullptr) upgraded_->user->begin_end();
}

/// The reading task has come to the end. A client that has gone needs no reply.
void h1_server_connection::peer_has_ended() noexcept {
    const bool has_all = decoder_.has_ended() && !server_->options.half_close;
    if (is_at_work_ && (input_.is_lost() || has_all)) leave();
}

void h1_server_connection::time_is_up() noexcept {
    if (phase_ == phase::writing)
        leave();
    else
        input_.stop();
}

void h1_server_connection::leave() noexcept {
    is_gone_ = true;
    scope_->cancel();
}

void h1_server_connection::log(int status) noexcept {
    auto& fn = server_->routes->log;
    if (!fn || request_.method.empty()) return;
    try {
        fn(http::access{&facade_, status, sent_, now(running()) - began_,
                        std::chrono::system_clock::now()});
    } catch (...) {
        report(std::current_exception());
    }
}

task<> serve_http(std::shared_ptr<http_server> server, std::unique_ptr<http_server_stream> stream) {
    h1_server_connection connection(std::move(server), std::move(stream));
    co_await connection.run();
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
