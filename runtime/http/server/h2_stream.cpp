// SPDX-License-Identifier: MIT
#include "http/server/h2_stream.hpp"

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include <rondo/cancel.hpp>
#include <rondo/error.hpp>

#include "http/ascii.hpp"
#include "http/h1/decoder.hpp"
#include "http/server/h2_connection.hpp"
#include "http/server/reply_head.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

namespace h2 = http::h2;

// The time of a write is for so many bytes: a hundred streams may share a slow connection.
constexpr std::size_t timed_bytes = std::size_t{16} * 1024;

// Of the buffer of a body that waits for more.
constexpr std::size_t kept_bytes = std::size_t{16} * 1024;

constexpr auto body_kind = wait_queue::kind("the body of a request");
constexpr auto file_kind = wait_queue::kind("another reply of the connection");
constexpr auto sent_kind = wait_queue::kind("an HTTP client to take a reply");

void pass_nothing_back(void*) noexcept {}  // a single waiter each

/// While it lives, no other stream of the connection reads a piece of a file.
class file_turn {
public:
    explicit file_turn(h2_server_connection& of) noexcept : of_(of) { of_.has_file = true; }
    file_turn(const file_turn&) = delete;
    file_turn& operator=(const file_turn&) = delete;
    ~file_turn() {
        of_.has_file = false;
        of_.files.unpark_one();
    }
    /// The stream that was chosen is cancelled.
    static void pass_on(void* of) noexcept {
        static_cast<h2_server_connection*>(of)->files.unpark_one();
    }

private:
    h2_server_connection& of_;
};

struct refusal {
    int status;
    const char* text;
};

/// Why the head cannot be answered by the routes; status 0 if it can. The engine has refused what
/// breaks the rules of HTTP/2.
refusal judge(const h2::head& head, const http::server_options& options) {
    if (head.is_too_large) return {431, "the head of the request is too large"};
    if (head.method == "CONNECT") return {501, "this server is no proxy"};
    if (head.path.size() > options.target_bytes) return {414, "the target is too long"};
    if (head.method.size() > 64 || !http::is_token(head.method))
        return {400, "the method is malformed"};
    const bool is_path = head.path.starts_with('/');
    const bool is_good = is_path || (head.path == "*" && head.method == "OPTIONS");
    if (!is_good || !std::all_of(head.path.begin(), head.path.end(), http::ascii::is_visible))
        return {400, "the target is malformed"};
    const auto host = head.headers.get("host");
    if (!host) return {400, "the request has no host"};
    if (!http::h1::is_authority(*host)) return {400, "the host is malformed"};
    return {0, nullptr};
}

}  // namespace

h2_server_stream::h2_server_stream(h2_server_connection& of)
    : http_answer(of.server(), of.link().stream.get()),
      connection_(of),
      read_clock_(
          [](void* late) noexcept {
              auto& self = *static_cast<h2_server_stream*>(late);
              self.is_late_ = true;
              self.arrived_.unpark_one();
          },
          this),
      write_clock_(
          [](void* self) noexcept { static_cast<h2_server_stream*>(self)->write_is_late(); },
          this) {}

h2_server_stream::~h2_server_stream() {
    server_.uploads -= counted_;
    connection_.engine().consume(*this, unconsumed());
    connection_.forget(has_task_);
}

task<> h2_server_stream::serve(std::unique_ptr<h2_server_stream> self) {
    try {
        co_await self->answer_request();
    } catch (const cancelled&) {
        self->is_gone_ = true;
    } catch (...) {
        if (!self->is_gone_) self->report(std::current_exception());
        self->is_cut_ = true;
    }
    self->abandon();
    if (self->is_gone_)
        self->reset(h2::code::cancel);
    else if (self->is_cut_)
        self->reset(h2::code::internal_error);
    else if (!self->has_received_end())
        self->reset(h2::code::no_error);  // RFC 9113, section 8.1: the rest is not needed
}

task<> h2_server_stream::answer_request() {
    const refusal why = judge(head_, server_.options);
    if (why.status != 0) return refuse(why.status, why.text);
    begin_request();
    return answer();
}

void h2_server_stream::begin_request() {
    request_.begin(head_.method, head_.path);
    request_.headers = &head_.headers;
    request_.version = http::version::http_2;
    request_.length = head_.content_length;
    if (head_.is_end) request_.length = 0;
    wants_continue_ = !head_.is_end && head_.headers.has_token("expect", "100-continue");
    begin_answer();
}

task<> h2_server_stream::refuse(int status, const char* text) {
    request_.begin({}, {});
    std::string body;
    if (head_.method != "HEAD") (body += text) += '\n';
    http::reply made = http::reply::text(std::move(body), status);
    co_await send(made);
}

// -- events --------------------------------------------------------------------------------------
void h2_server_stream::on_head(h2::head& come) {
    head_ = std::move(come);
    has_task_ = true;
    task_ = connection_.start(*this);
}

void h2_server_stream::on_data(std::string_view bytes) {
    if (is_too_much_ || server_.uploads + bytes.size() > server_.options.upload_bytes) {
        drop_body();
    } else {
        came_ += bytes;
        counted_ += bytes.size();
        server_.uploads += bytes.size();
    }
    arrived_.unpark_one();
}

/// All that has come and will come, but not the bytes that the handler has in its hands.
void h2_server_stream::drop_body() noexcept {
    is_too_much_ = true;
    std::string().swap(came_);
    server_.uploads -= counted_ - taken_.size();
    counted_ = taken_.size();
    connection_.engine().consume(*this, unconsumed() - taken_.size());
}

void h2_server_stream::on_end() { arrived_.unpark_one(); }

void h2_server_stream::on_sent() {
    connection_.add_sent(to_send_ - unsent());
    to_send_ = unsent();
    sent_wait_.unpark_one();
}

void h2_server_stream::on_closed(const h2::closing&) {
    if (!has_task_) {
        delete this;
        return;
    }
    wake();
    if (has_sent_end()) return;
    is_gone_ = true;
    task_.cancel();
}

/// For the waits that no cancellation reaches, since they are shielded.
void h2_server_stream::wake() noexcept {
    sent_wait_.unpark_one();
    arrived_.unpark_one();
    connection_.files.unpark_all();
}

// -- the body of the request ---------------------------------------------------------------------
/// Opens the window again by what the handler has taken.
void h2_server_stream::give_back() noexcept {
    server_.uploads -= counted_ - came_.size();
    counted_ = came_.size();
    if (taken_.capacity() > kept_bytes)
        std::string().swap(taken_);
    else
        taken_.clear();
}

task<std::string_view> h2_server_stream::read_body() {
    check_body();
    if (is_reading_) throw invalid_state_error("another task reads the body of this request");
    const flag_in reading(is_reading_);
    if (!taken_.empty()) {
        const std::size_t count = taken_.size();
        give_back();
        connection_.engine().consume(*this, count);
        connection_.poke();
    }
    if (wants_continue_ && !cancel_requested()) {  // otherwise the next read says it
        wants_continue_ = false;
        if (came_.empty() && !has_received_end()) {
            connection_.engine().respond_interim(*this, 100);
            connection_.poke();
        }
    }
    const time_in limited(read_clock_, server_.options.read);
    is_late_ = false;
    while (came_.empty() && !has_received_end() && !is_late_ && !is_too_much_ && is_open())
        co_await arrived_.park(body_kind, pass_nothing_back, nullptr);
    if (is_too_much_) fail_body(503, "the server has too many bodies to read");
    if (came_.empty() && !has_received_end() && !is_open()) {
        if (cancel_requested()) throw cancelled();
        throw std::system_error(ECONNRESET, std::system_category(), "read of a request");
    }
    if (came_.empty() && !has_received_end())
        fail_body(408, "the body of the request did not come in time");
    taken_.swap(came_);
    co_return taken_;
}

// -- the reply -----------------------------------------------------------------------------------
void h2_server_stream::begin_reply(http::reply& reply, http::h1::body_length length) {
    complete_reply_fields(reply, length, server_.date());
    head_of_ = &reply;
    const bool may_read = reply.source() != nullptr && reply.source()->write;
    if (!may_read) drop_body();  // it would take the memory of others
    if (reply.closes()) connection_.end_soon();
}

void h2_server_stream::respond(bool has_body) {
    http::reply& reply = *std::exchange(head_of_, nullptr);
    connection_.engine().respond(*this, reply.status(), reply.headers(), has_body);
}

task<> h2_server_stream::send_bytes(std::string_view body) {
    respond(!body.empty());
    while (sent_ < body.size()) {
        const auto piece = body.substr(static_cast<std::size_t>(sent_), piece_bytes);
        co_await push(piece, sent_ + piece.size() == body.size());
        sent_ += piece.size();
    }
    co_await wait_until_sent(true);
}

task<> h2_server_stream::send_head() {
    respond(true);
    connection_.poke();
    co_return;
}

task<> h2_server_stream::send_piece(const_buffer piece) {
    if (is_writing_) throw invalid_state_error("another task writes the body of this reply");
    const flag_in writing(is_writing_);
    if (head_of_ != nullptr) respond(true);
    co_await push(piece.text(), false);
}

/// A piece is read when the client takes it: a client that asks for a hundred files and opens no
/// window has a hundred replies without memory.
task<std::size_t> h2_server_stream::send_part(reply_source& from) {
    if (head_of_ != nullptr) respond(true);
    try {
        co_await wait_for_room();
    } catch (const cancelled&) {
        give_up();
        throw;
    }
    const file_turn turn(connection_);
    const std::uint64_t most = std::min<std::uint64_t>(left_, piece_bytes);
    // No more than the stream's own window lets out: so the turn never waits for this stream alone.
    const std::size_t room = connection_.engine().room(*this);
    co_return co_await send_copied(from, std::min(static_cast<std::size_t>(most), room));
}

/// Waits until the client takes bytes of this stream, and no other one has a piece of a file.
task<> h2_server_stream::wait_for_room() {
    const time_in limited(write_clock_, server_.options.write);
    sent_before_ = connection_.sent();
    while (is_open()) {
        if (connection_.engine().room(*this) == 0) {
            // It may have been chosen: the turn is for one that has room.
            if (!connection_.has_file) connection_.files.unpark_one();
            connection_.engine().ask(*this);
            connection_.poke();
            while (is_open() && is_asking())
                co_await sent_wait_.park(sent_kind, pass_nothing_back, nullptr);
        } else if (connection_.has_file) {
            co_await connection_.files.park(file_kind, file_turn::pass_on, &connection_);
        } else {
            co_return;
        }
    }
    throw std::system_error(ECONNRESET, std::system_category(), "write of a reply");
}

task<> h2_server_stream::end_body() {
    if (head_of_ != nullptr) respond(true);
    connection_.engine().finish(*this, reply_trailers_);
    co_await wait_until_sent(true);
}

/// Gives bytes to the engine, which borrows them until they are on their way. If the wait is
/// cancelled, by the user's code perhaps, a part may have gone: the reply cannot go on.
task<> h2_server_stream::push(std::string_view piece, bool is_last) {
    if (cancel_requested()) throw cancelled();
    connection_.engine().write(*this, piece, is_last);
    to_send_ = unsent();
    try {
        co_await wait_until_sent(false);
    } catch (const cancelled&) {
        give_up();
        throw;
    }
}

task<> h2_server_stream::wait_until_sent(bool with_end) {
    connection_.poke();
    const time_in limited(write_clock_, server_.options.write);
    sent_before_ = connection_.sent();
    std::size_t before = unsent();
    while (is_open() && (unsent() != 0 || (with_end && !has_sent_end()))) {
        co_await sent_wait_.park(sent_kind, pass_nothing_back, nullptr);
        if (before - unsent() < timed_bytes) continue;
        before = unsent();
        sent_before_ = connection_.sent();
        write_clock_.set(server_.options.write);
    }
    if (!has_sent_end() && !is_open())
        throw std::system_error(ECONNRESET, std::system_category(), "write of a reply");
}

/// A stream whose window is open may wait for its turn, as long as others of its connection get on.
void h2_server_stream::write_is_late() noexcept {
    const bool gets_on = connection_.sent() - sent_before_ >= timed_bytes;
    if (connection_.engine().is_shut(*this) || !gets_on) return give_up();
    sent_before_ = connection_.sent();
    write_clock_.set(server_.options.write);
}

/// The client is to get nothing more of this stream.
void h2_server_stream::give_up() noexcept {
    is_gone_ = true;
    reset(h2::code::cancel);
    wake();
    task_.cancel();
}

void h2_server_stream::reset(h2::code why) noexcept {
    if (!is_open()) return;
    try {
        connection_.engine().reset(*this, why);
        connection_.poke();
    } catch (const std::exception&) {  // no memory: the destructor tries again
    }
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
