// SPDX-License-Identifier: MIT
// The face of a WebSocket: waits of the user's tasks.
#include <rondo/http/websocket.hpp>

#include <rondo/cancel.hpp>

#include "http/ascii.hpp"
#include "http/charset.hpp"
#include "http/websocket/core.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

namespace ws = http::ws;

constexpr auto arrived_kind = wait_queue::kind("a message of a WebSocket");
constexpr auto written_kind = wait_queue::kind("a WebSocket's peer to take a message");
constexpr auto ended_kind = wait_queue::kind("the end of a WebSocket");
constexpr std::size_t reason_bytes_max = 123;

void pass_nothing(void*) noexcept {}  // all are chosen at once

void check_close(int code, std::string_view reason) {
    if (!ws::may_be_sent(code))
        throw http::error("websocket::close: the code " + std::to_string(code) +
                          " must not be sent: 1000 to 1003, 1007 to 1014 and 3000 to 4999 may be");
    if (reason.size() > reason_bytes_max)
        throw http::error("websocket::close: the reason is longer than 123 bytes");
    if (!http::is_utf8(reason)) throw http::error("websocket::close: the reason is no UTF-8");
}

}  // namespace

// -- receiving -----------------------------------------------------------------------------------
task<std::optional<http::websocket_message>> websocket_core::next() {
    if (cancel_requested()) throw cancelled();  // a message that has come stays for later
    while (messages_.empty() && !has_no_more())
        co_await arrived_.park(
            arrived_kind,
            [](void* self) noexcept {
                static_cast<websocket_core*>(self)->arrived_.unpark_one();
            },
            this);
    if (!messages_.empty()) {
        http::websocket_message first = std::move(messages_.front());
        messages_.pop_front();
        waiting_bytes_ -= first.bytes().size();
        if (!is_full()) room_.unpark_one();
        co_return std::move(first);
    }
    if (failed_) std::rethrow_exception(failed_);
    if (is_peers_error()) throw peers_error();
    co_return std::nullopt;
}

bool websocket_core::is_peers_error() const noexcept {
    const int code = engine_.close_code();
    return peer_began_ && code != ws::code::normal && code != ws::code::going_away &&
           code != ws::code::none;
}

http::websocket_error websocket_core::peers_error() const {
    std::string what = "the peer closed the WebSocket with " +
                       std::to_string(engine_.close_code());
    if (!engine_.close_reason().empty())
        what += " (" + http::ascii::printable(engine_.close_reason()) + ')';
    return {engine_.close_code(), what};
}

int websocket_core::close_code() const noexcept {
    if (peer_closed_) return engine_.close_code();
    return is_over_ || failed_ ? ws::code::lost : 0;
}

// -- sending -------------------------------------------------------------------------------------
void websocket_core::check_sendable() const {
    if (failed_) std::rethrow_exception(failed_);
    if (unwritten_) std::rethrow_exception(unwritten_);
    if (peer_began_) throw peers_error();
    if (server_ends_)
        throw http::websocket_error(ws::code::going_away, "the server ends, and has said so");
    if (!is_open()) throw closed_error("this WebSocket is closed");
}

task<> websocket_core::send(bool is_text, std::string_view bytes) {
    if (is_text && !http::is_utf8(bytes))
        throw http::error(
            "websocket::send_text: the text is no UTF-8; send_binary takes any bytes");
    const auto guard = co_await turn_.lock();
    while (is_writing() && is_open()) co_await written_.park(written_kind, pass_nothing, nullptr);
    check_sendable();
    engine_.add_message(is_text, bytes);
    const std::uint64_t mine = ++added_;
    work_.unpark_one();
    try {
        while (sent_ < mine && !is_over_ && !unwritten_)
            co_await written_.park(written_kind, pass_nothing, nullptr);
    } catch (const cancelled&) {  // it goes as a whole all the same
        if (sent_ < mine) throw;
    }
    if (sent_ < mine) {
        check_sendable();
        throw closed_error("this WebSocket is closed");
    }
}

// -- the end -------------------------------------------------------------------------------------
task<> websocket_core::close(int code, std::string_view reason) {
    check_close(code, reason);
    drop_messages();
    begin_close(code, reason);
    try {
        co_await wait_closed();
    } catch (const cancelled&) {
        cut();
        throw;
    }
}

task<> websocket_core::wait_closed() {
    if (cancel_requested()) throw cancelled();
    while (!is_over_) co_await ended_.park(ended_kind, pass_nothing, nullptr);
}

}  // namespace detail

namespace http {

websocket_error::websocket_error(int code, const std::string& what) : error(what), code_(code) {}
websocket_error::~websocket_error() = default;

void websocket_message::check_text() const {
    if (!is_text_) throw error("this message of a WebSocket is binary: take its bytes()");
}

websocket::websocket(std::shared_ptr<rondo::detail::websocket_core> core) noexcept
    : core_(std::move(core)) {}
websocket::websocket(websocket&&) noexcept = default;
websocket& websocket::operator=(websocket&& other) noexcept {
    websocket old(std::move(other));
    core_.swap(old.core_);
    return *this;
}
websocket::~websocket() {
    if (core_) core_->release();
}

rondo::detail::websocket_core& websocket::core() const noexcept {
    RONDO_ASSERT(core_, "this WebSocket was moved from");
    return *core_;
}

task<std::optional<websocket_message>> websocket::next() { return core().next(); }
task<> websocket::send_text(std::string_view text) { return core().send(true, text); }
task<> websocket::send_binary(const_buffer bytes) { return core().send(false, bytes.text()); }
task<> websocket::close(int code, std::string_view reason) { return core().close(code, reason); }
task<> websocket::closed() { return core().wait_closed(); }

bool websocket::is_open() const noexcept { return core().is_open(); }
const std::string& websocket::subprotocol() const noexcept { return core().how().subprotocol; }
int websocket::close_code() const noexcept { return core().close_code(); }
const std::string& websocket::close_reason() const noexcept { return core().close_reason(); }
bool websocket::is_compressed() const noexcept { return core().how().engine.deflate.is_on; }

}  // namespace http
}  // namespace v0
}  // namespace rondo
