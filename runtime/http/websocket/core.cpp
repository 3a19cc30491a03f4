// SPDX-License-Identifier: MIT
// The two tasks of a WebSocket, its timer and its end.
#include "http/websocket/core.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include <rondo/cancel.hpp>

#include "http/ascii.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

namespace ws = http::ws;

constexpr auto room_kind = wait_queue::kind("a message to be taken from a WebSocket");
constexpr auto work_kind = wait_queue::kind("something to send by a WebSocket");
constexpr duration close_limit = std::chrono::seconds(1);
constexpr std::size_t waiting_messages_max = 64;
constexpr std::size_t waiting_bytes_max = std::size_t{64} * 1024;
constexpr std::size_t piece_bytes = std::size_t{128} * 1024;
constexpr std::size_t kept_bytes = std::size_t{16} * 1024;  // of a buffer that is empty

void keep_quiet(void*) noexcept {}  // a single waiter

std::exception_ptr lost(const char* why) noexcept {
    try {
        throw http::websocket_error(ws::code::lost, why);
    } catch (...) {  // no memory: that is the error then
        return std::current_exception();
    }
}

}  // namespace

websocket_core::websocket_core(http_transport& transport, setup how)
    : transport_(&transport), setup_(std::move(how)), engine_(setup_.engine) {
    transport.user = this;
}

websocket_core::~websocket_core() { timer_.cancel(); }

task<> websocket_core::run() {
    children group("a WebSocket", children::others::go_on);
    heard_ = running_loop().time();
    if (setup_.ping_after > duration::zero()) set_timer(saturating_add(heard_, setup_.ping_after));
    scope_ = &group;
    try {
        group.start(read_all());
        group.start(write_all());
        co_await group.ended();
        // TLS says goodbye too: a child as well, so that the limit of the close ends it.
        group.start(finish());
    } catch (...) {
        group.fail(std::current_exception());
    }
    co_await group.ended();
    scope_ = nullptr;
    if (!is_finished_) transport_->abort();
    over();
    group.rethrow_but_own_cancel();
}

task<> websocket_core::finish() {
    if (!sent_close_ || !peer_closed_ || failed_ || unwritten_) co_return;
    try {
        co_await transport_->close();
        is_finished_ = true;
    } catch (const std::exception&) {  // the peer is gone
    }
}

void websocket_core::over() noexcept {
    if (std::exchange(is_over_, true)) return;
    timer_.cancel();
    if (transport_ != nullptr) transport_->user = nullptr;
    transport_ = nullptr;
    if (!peer_closed_ && !failed_) failed_ = unwritten_;
    wake_all();
    ended_.unpark_all();
}

void websocket_core::wake_all() noexcept {
    arrived_.unpark_all();
    written_.unpark_all();
}

/// Ends both tasks, wherever they wait.
void websocket_core::cut() noexcept {
    if (scope_ != nullptr) scope_->cancel();
}

// -- reading -------------------------------------------------------------------------------------
task<> websocket_core::read_all() {
    try {
        co_await read_frames();
    } catch (const std::exception& error) {
        lose(error.what());
    }
}

task<> websocket_core::read_frames() {
    for (;;) {
        const std::string_view bytes = co_await transport_->read();
        if (bytes.empty()) break;
        heard_ = running_loop().time();
        // The timer waits for the end of a ping's limit.
        if (std::exchange(is_pinged_, false)) set_timer(saturating_add(heard_, setup_.ping_after));
        // After the end bytes are read and dropped: to close a socket with unread bytes resets the
        // connection, and the peer may lose our close frame.
        if (!failed_ && !peer_closed_) co_await take(bytes);
        // The server closes first, so that the client's side has no port that lingers.
        if (peer_closed_ && !setup_.engine.is_client) co_return;
    }
    if (!peer_closed_) lose("the connection ended without a close");
}

task<> websocket_core::take(std::string_view bytes) {
    for (;;) {
        const ws::event found = engine_.next(bytes);
        if (engine_.owes_pong()) work_.unpark_one();
        if (found == ws::event::need_more) co_return;
        if (found == ws::event::failed) {
            fail(engine_.failed_code(), engine_.failed_text());
            co_return;
        }
        if (found == ws::event::closed) {
            take_close();
            co_return;
        }
        take_message();
        while (is_full()) {
            is_paused_ = true;
            co_await room_.park(room_kind, keep_quiet, nullptr);
            is_paused_ = false;
            heard_ = running_loop().time();
        }
    }
}

void websocket_core::take_message() {
    http::websocket_message message(engine_.is_text(), engine_.take_message());
    if (is_deaf_) return;
    const std::size_t size = message.bytes().size();
    messages_.push_back(std::move(message));
    waiting_bytes_ += size;
    arrived_.unpark_one();
}

bool websocket_core::is_full() const noexcept {
    return messages_.size() >= waiting_messages_max || waiting_bytes_ >= waiting_bytes_max;
}

void websocket_core::drop_messages() noexcept {
    is_deaf_ = true;
    messages_.clear();
    waiting_bytes_ = 0;
    room_.unpark_one();
}

void websocket_core::take_close() {
    peer_closed_ = true;
    peer_began_ = !wants_close_;
    if (peer_began_) end_by(engine_.close_code(), {});
    wake_all();
}

/// The connection is gone.
void websocket_core::lose(const char* why) noexcept {
    // A peer that only hangs up after our close frame is rude, and no error.
    if (!failed_ && !peer_closed_ && (!wants_close_ || unwritten_)) failed_ = lost(why);
    wake_all();
    cut();
}

/// The peer broke a rule: tells it, and takes nothing more.
void websocket_core::fail(int code, std::string_view why) {
    if (!wants_close_) end_by(code, why);
    failed_ = std::make_exception_ptr(http::websocket_error(
        code, "the peer broke the rules of WebSocket: " + std::string(why)));
    wake_all();
}

// -- writing -------------------------------------------------------------------------------------
task<> websocket_core::write_all() {
    try {
        co_await write_frames();
        co_return;
    } catch (const std::exception& error) {
        unwritten_ = lost(error.what());
    }
    // The peer may have said why before it left.
    is_writing_ = false;
    write_at_ = time_point::max();
    engine_.out.clear();
    if (!wants_close_) end_by(ws::code::lost, {});
    sent_close_ = true;
    wake_all();
}

task<> websocket_core::write_frames() {
    for (;;) {
        const bool is_last = add_control();
        if (engine_.out.empty()) {
            co_await work_.park(work_kind, keep_quiet, nullptr);
            continue;
        }
        is_writing_ = true;
        being_written_.swap(engine_.out);
        engine_.out.clear();
        const std::uint64_t last = added_;
        for (const_buffer left = being_written_; !left.empty();) {
            const const_buffer piece = left.first(std::min(left.size(), piece_bytes));
            left = left.without_first(piece.size());
            limit_write();
            co_await transport_->write(piece);
            write_at_ = time_point::max();
            // A peer that takes a long message is not lost, though the ping stands behind it.
            if (!left.empty()) heard_ = running_loop().time();
        }
        being_written_.clear();
        if (being_written_.capacity() > kept_bytes) being_written_ = std::string();
        is_writing_ = false;
        sent_ = last;
        written_.unpark_all();
        if (is_last) break;
    }
    if (failed_) co_await transport_->shutdown_write();
}

/// Appends what has to be sent besides messages. Returns: true if nothing follows.
bool websocket_core::add_control() {
    engine_.add_pong();
    if (std::exchange(wants_ping_, false)) engine_.add_ping();
    if (!wants_close_) return false;
    engine_.add_close(close_code_, close_reason_);
    sent_close_ = true;
    return true;
}

// -- the close -----------------------------------------------------------------------------------
void websocket_core::end_by(int code, std::string_view reason) {
    close_code_ = code;
    close_reason_ = reason;
    wants_close_ = true;
    deadline_ = saturating_add(running_loop().time(), close_limit);
    set_timer(deadline_);
    work_.unpark_one();
}

void websocket_core::begin_close(int code, std::string_view reason) {
    if (is_open()) end_by(code, reason);
}

void websocket_core::close_or_cut(int code) noexcept {
    try {
        begin_close(code, {});
    } catch (...) {  // no memory: without a farewell
        cut();
    }
}

void websocket_core::begin_end() noexcept {
    if (!is_open()) return;
    server_ends_ = true;
    close_or_cut(ws::code::going_away);
}

void websocket_core::release() noexcept {
    if (is_over_) return;
    is_released_ = true;
    drop_messages();
    try {
        // In the next turn: if the handler has ended by an error, that decides about the code.
        set_timer(running_loop().time());
    } catch (...) {
        cut();
    }
}

// -- the timer -----------------------------------------------------------------------------------
void websocket_core::set_timer(time_point when) {
    if (when >= timer_at_) return;
    timer_.cancel();
    timer_ = running_loop().call_at(when, [this] { on_timer(); });
    timer_at_ = when;
}

/// A peer that reads nothing would hold the connection for ever: its silence does not count while
/// the user waits for it to take a message, and takes none itself.
void websocket_core::limit_write() {
    if (setup_.write_limit <= duration::zero()) return;
    write_at_ = saturating_add(running_loop().time(), setup_.write_limit);
    set_timer(write_at_);
}

void websocket_core::on_timer() {
    timer_at_ = time_point::max();
    if (is_over_) return;
    if (is_released_) begin_close(ws::code::normal, {});
    const time_point now = running_loop().time();
    if (now >= deadline_) return cut();
    if (deadline_ != time_point::max()) return set_timer(deadline_);
    if (now >= write_at_) return lose("the peer took nothing for too long");
    set_timer(write_at_);
    if (setup_.ping_after <= duration::zero()) return;
    if (is_paused_) heard_ = now;  // it is the user who is silent
    const time_point ping_at = saturating_add(heard_, setup_.ping_after);
    if (now < ping_at) return set_timer(ping_at);
    if (!std::exchange(is_pinged_, true)) {
        wants_ping_ = true;
        work_.unpark_one();
    }
    if (setup_.ping_limit <= duration::zero()) {
        is_pinged_ = false;
        return set_timer(saturating_add(now, setup_.ping_after));
    }
    const time_point lost_at = saturating_add(ping_at, setup_.ping_limit);
    if (now < lost_at) return set_timer(lost_at);
    lose("the peer was silent for too long");
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
