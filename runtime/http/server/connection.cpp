// SPDX-License-Identifier: MIT
// The life of a connection: its bytes, and the version of HTTP that they speak.
#include "http/server/connection.hpp"

#include <exception>
#include <string>
#include <utility>

#include <rondo/cancel.hpp>

#include "http/server/h1_connection.hpp"
#include "http/server/h2_connection.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

http_link::http_link(http_server& of, std::unique_ptr<http_server_stream> on)
    : server(of),
      stream(std::move(on)),
      direct(stream->direct()),
      input(*stream),
      clock(time_is_up, this),
      scope("an HTTP connection", children::others::go_on) {
    server.connections.append(*this);
}

http_link::~http_link() { server.connections.remove(*this); }

// -- between two requests ------------------------------------------------------------------------
bool http_link::begin_idle(bool is_first) {
    if (server.is_ending && input.unread.empty()) return false;
    clock.set(is_first ? server.options.head : server.options.idle);
    input.release(true);
    return true;
}

bool http_link::end_idle() noexcept {
    input.resume();
    return !input.unread.empty();
}

task<bool> http_link::speak(bool is_first) {
    auto taken = server.take_h1();
    h1_server_connection& first = *taken;
    speaker = std::move(taken);
    const bool is_idle = co_await first.run(*this, is_first);
    if (is_idle) {
        speaker.release();
        server.give_h1(std::unique_ptr<h1_server_connection>(&first));
        co_return true;
    }
    if (!first.has_found_http2()) co_return false;
    const std::string preface = first.first_bytes();
    auto made = std::make_unique<h2_server_connection>(*this);
    h2_server_connection& second = *made;
    speaker = std::move(made);
    co_await second.run(preface);
    co_return false;
}

task<> http_link::skip_rest() {
    std::uint64_t left = skipped_bytes;
    while (!input.has_ended() && input.unread.size() <= left) {
        left -= input.unread.size();
        input.release();
        while (!input.is_ready()) co_await input.wait();
        if (input.is_stopped()) break;
    }
}

// -- events --------------------------------------------------------------------------------------
void http_link::begin_end() noexcept {
    if (speaker)
        speaker->begin_end();
    else
        input.stop();
}

void http_link::cut_off() noexcept {
    if (speaker)
        speaker->cut_off();
    else
        scope.cancel();
}

void http_link::peer_has_ended(void* self) noexcept {
    const auto& link = *static_cast<http_link*>(self);
    if (link.speaker) link.speaker->peer_has_ended();
}

void http_link::time_is_up(void* self) noexcept {
    auto& link = *static_cast<http_link*>(self);
    if (link.speaker)
        link.speaker->time_is_up();
    else
        link.input.stop();
}

// An idle connection waits here, without a frame or an object of a version of HTTP.
task<> serve_http(std::shared_ptr<http_server> server, std::unique_ptr<http_server_stream> stream) {
    http_link link(*server, std::move(stream));
    try {
        link.scope.start(link.read_all());
        for (bool is_first = true; link.begin_idle(is_first); is_first = false) {
            while (!link.input.is_ready()) co_await link.input.wait();
            if (!link.end_idle()) break;
            const bool goes_on = co_await link.speak(is_first);
            if (!goes_on) break;
        }
    } catch (const cancelled&) {
        link.scope.stopped();
    } catch (...) {
        if (!link.speaker || !link.speaker->is_gone())
            link.scope.fail(std::current_exception());
    }
    if (link.speaker) link.speaker->finish();
    link.scope.cancel();
    co_await link.scope.ended();
    link.scope.rethrow_but_own_cancel();
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
