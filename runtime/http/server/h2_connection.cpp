// SPDX-License-Identifier: MIT
#include "http/server/h2_connection.hpp"

#include <algorithm>
#include <exception>
#include <utility>

#include <rondo/cancel.hpp>
#include <rondo/error.hpp>

#include "http/server/h2_stream.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

namespace h2 = http::h2;

constexpr auto poked_kind = wait_queue::kind("something to write");
constexpr auto written_kind = wait_queue::kind("an HTTP client to take bytes");
constexpr auto emptied_kind = wait_queue::kind("the last reply of an HTTP connection");

void pass_nothing(void*) noexcept {}  // each waiter looks again

h2::options engine_options(const http::server_options& options) {
    const std::uint64_t most = 0x7fffffff;  // of a window, RFC 9113, section 6.9.1
    const auto times = [&](std::uint64_t factor) {
        return static_cast<std::uint32_t>(
            std::min(most, std::uint64_t{options.stream_window} * factor));
    };
    h2::options bounds;
    bounds.head_bytes = options.head_bytes;
    bounds.fields = options.header_fields;
    bounds.streams = options.streams;
    bounds.stream_window = times(1);
    bounds.stream_window_max = times(4);
    bounds.connection_window = std::max(times(4), std::uint32_t{65535});
    return bounds;
}

}  // namespace

h2_server_connection::h2_server_connection(http_link& link)
    : server_(link.server),
      link_(link),
      write_clock_([](void* self) noexcept { static_cast<h2_server_connection*>(self)->leave(); },
                   this),
      engine_(h2::role::server, engine_options(link.server.options), *this),
      refilled_(now(running())) {}

h2_server_connection::~h2_server_connection() {
    engine_.abandon({});  // streams without a task destroy themselves
}

task<> h2_server_connection::run(std::string_view first) {
    link_.scope.start(write_frames());
    if (server_.is_ending) refuse_further();
    co_await read_frames(first);
    is_leaving_ = true;
    poke();
    while (!is_written_) co_await written_.park(written_kind, pass_nothing, nullptr);
    engine_.abandon({});
    link_.input.resume();
    co_await say_goodbye();
}

// -- reading -------------------------------------------------------------------------------------
task<> h2_server_connection::read_frames(std::string_view first) {
    http_input& input = link_.input;
    link_.clock.set(server_.options.head);
    take(first);
    while (!is_leaving_ && engine_.wants_to_read()) {
        if (!input.unread.empty()) {
            take(std::exchange(input.unread, {}));
            continue;
        }
        if (is_closing_ && engine_.is_ending() && streams_ == 0) co_return;
        if (input.has_ended()) {
            if (streams_ == 0) co_return;
            co_await emptied_.park(emptied_kind, pass_nothing, nullptr);
            continue;
        }
        input.release(streams_ == 0);
        while (!input.is_ready()) co_await input.wait();
        if (input.is_stopped()) input.resume();
    }
}

void h2_server_connection::take(std::string_view bytes) {
    const time_point time = now(running());
    if (time - refilled_ >= refill_after) {
        refilled_ = time;
        engine_.refill();
    }
    engine_.receive(bytes);
    poke();
}

h2::stream* h2_server_connection::on_stream() {
    // Handlers of streams that the client has reset are still counted until they have ended.
    const bool is_full = streams_ >= std::size_t{2} * server_.options.streams;
    if (is_leaving_ || engine_.is_ending() || is_full) return nullptr;
    auto* const made = new h2_server_stream(*this);
    ++streams_;
    ++heads_;
    if (!is_closing_) link_.clock.set(server_.options.head);
    return made;
}

future<void> h2_server_connection::start(h2_server_stream& stream) {
    --heads_;
    choose_limit();
    return link_.scope.start(h2_server_stream::serve(std::unique_ptr<h2_server_stream>(&stream)));
}

void h2_server_connection::forget(bool had_head) noexcept {
    if (!had_head) --heads_;
    --streams_;
    choose_limit();
    if (!is_leaving_) poke();  // what it had not read opens the connection's window again
    if (streams_ != 0) return;
    emptied_.unpark_all();
    if (is_closing_ && engine_.is_ending()) link_.input.stop();
}

/// After a head has come, or a stream has gone: no limit for requests at work but their own.
void h2_server_connection::choose_limit() noexcept {
    if (is_leaving_ || heads_ != 0) return;
    if (is_closing_ && !engine_.is_ending()) return;  // it is the ping's
    if (streams_ == 0 && !is_closing_)
        link_.clock.set(server_.options.idle);
    else
        link_.clock.clear();
}

// -- writing -------------------------------------------------------------------------------------
void h2_server_connection::poke() noexcept {
    if (!engine_.wants_to_write()) return;
    is_poked_ = true;
    is_written_ = false;
    poked_.unpark_one();
}

/// The body of the task that writes.
task<> h2_server_connection::write_frames() {
    try {
        co_await write_batches();
    } catch (const cancelled&) {
        throw;
    } catch (const std::exception&) {  // of the stream
    }
    leave();
}

task<> h2_server_connection::write_batches() {
    std::string out;
    for (;;) {
        is_poked_ = false;
        out.clear();
        if (engine_.produce(out, batch_bytes) != 0) {
            co_await write(out);
            continue;
        }
        if (engine_.is_over()) stop_reading();  // the peer broke the rules, or both have ended
        is_written_ = true;
        written_.unpark_all();
        if (streams_ == 0 && out.capacity() > 4096) out = std::string();  // stays small
        while (!is_poked_) co_await poked_.park(poked_kind, pass_nothing, nullptr);
    }
}

task<> h2_server_connection::write(std::string_view bytes) {
    const time_in limited(write_clock_, server_.options.write);
    if (link_.direct != nullptr)
        co_await link_.direct->write_all(bytes);
    else
        co_await link_.stream->write_all(bytes, {}, {});
}

// -- the end -------------------------------------------------------------------------------------
void h2_server_connection::begin_end() noexcept {
    if (is_closing_ || is_leaving_) return;
    try {
        end_soon();
    } catch (const std::exception&) {  // no memory
        leave();
    }
}

/// First says that it ends, so that requests on their way are still taken; then which was the last.
void h2_server_connection::end_soon() {
    if (is_closing_) return;
    if (streams_ == 0) return refuse_further();
    is_closing_ = true;
    engine_.announce_end();
    engine_.ping();
    link_.clock.set(ping_time);
    poke();
}

void h2_server_connection::on_ping_answer() {
    if (is_closing_ && !engine_.is_ending()) refuse_further();
}

void h2_server_connection::refuse_further() {
    is_closing_ = true;
    if (heads_ != 0)
        link_.clock.set(server_.options.head);
    else
        link_.clock.clear();
    engine_.end();
    poke();
    if (streams_ == 0) link_.input.stop();
}

void h2_server_connection::time_is_up() noexcept {
    if (is_leaving_) return link_.input.stop();  // of the goodbye
    try {
        if (is_closing_ && !engine_.is_ending()) return refuse_further();  // no answer to the ping
        if (heads_ != 0)
            engine_.end(h2::code::enhance_your_calm, "the head of a request did not come in time");
        else
            engine_.end();
        stop_reading();
    } catch (const std::exception&) {  // no memory
        leave();
    }
}

void h2_server_connection::stop_reading() noexcept {
    is_leaving_ = true;
    link_.input.stop();
    emptied_.unpark_all();
}

/// Lets the peer read what was written.
task<> h2_server_connection::say_goodbye() {
    if (link_.input.is_lost()) co_return;
    try {
        {
            const time_in limited(write_clock_, http_link::skipped_time);
            co_await link_.stream->shutdown_write();
        }
        const time_in limited(link_.clock, http_link::skipped_time);
        co_await link_.skip_rest();
    } catch (const std::exception&) {  // the connection is lost
    }
}

/// A client that has gone needs no replies.
void h2_server_connection::peer_has_ended() noexcept {
    const bool is_end = link_.input.is_lost() || !server_.options.half_close;
    if (is_end && streams_ != 0 && !is_leaving_) leave();
}

void h2_server_connection::leave() noexcept {
    is_gone_ = true;
    link_.scope.cancel();
}

void h2_server_connection::finish() noexcept {
    if (streams_ != 0 || is_gone_) link_.stream->abort();
    is_leaving_ = true;
    engine_.abandon({});  // nothing is sent any more: shielded handlers have to know
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
