// SPDX-License-Identifier: MIT
// The two tasks of a connection, and its end.
#include "http/h2/client.hpp"

#include <algorithm>

#include <rondo/create_task.hpp>
#include <rondo/http/error.hpp>
#include <rondo/sleep.hpp>
#include <rondo/stream.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

using namespace std::chrono_literals;
namespace h2 = http::h2;

constexpr std::size_t idle_buffer = 4096;
constexpr std::size_t busy_buffer = std::size_t{256} * 1024 - 4096;
constexpr std::size_t frames_at_once = std::size_t{64} * 1024;
constexpr duration refill_every = 10s;
constexpr duration silent_for = 30s;  // after that the peer is asked before a request
constexpr duration answered_in = 5s;
constexpr duration farewell_in = 1s;
constexpr duration last_words_in = 1s;

h2::options h2_options_of(const exchange_options& limits) {
    constexpr std::uint64_t most = 0x7fffffff;  // of a window, RFC 9113, section 6.9.1
    const auto times = [&](std::uint64_t factor) {
        return static_cast<std::uint32_t>(
            std::min(most, std::uint64_t{limits.stream_window} * factor));
    };
    h2::options how;
    how.stream_window = times(1);
    how.stream_window_max = times(16);
    how.connection_window = std::max(times(32), std::uint32_t{65535});
    how.head_bytes = limits.head_bytes;
    how.fields = limits.header_fields;
    how.resets = 10'000;  // each one is of a request of ours
    return how;
}

}  // namespace

h2_connection::h2_connection(http_connection::any_stream stream, const exchange_options& options)
    : stream_(std::move(stream)),
      engine_(h2::role::client, h2_options_of(options), *this),
      heard_at_(running_loop().time()),
      refilled_at_(heard_at_),
      writing_since_(heard_at_),
      write_limit_(options.read) {}

void h2_connection::start() {
    is_reading_ = true;
    try {
        reading_ = create_task(read_all(shared_from_this()), {.name = "reader of HTTP/2"});
    } catch (...) {
        is_reading_ = false;
        throw;
    }
    send();
}

std::size_t h2_connection::room() const noexcept {
    if (is_retired_ || !is_reading_ || engine_.has_goaway() || engine_.is_ending()) return 0;
    return engine_.has_settings() ? engine_.peer_streams() : 1;  // its limit may be anything
}

// -- reading -------------------------------------------------------------------------------------
task<> h2_connection::read_all(std::shared_ptr<h2_connection> self) {
    std::exception_ptr why;
    self->has_begun_ = true;
    try {
        if (!self->must_end_) co_await self->read_pieces();
    } catch (const std::exception&) {
        why = std::current_exception();
    } catch (...) {  // cancelled: end_reading(), or the end of the loop
    }
    self->lose(std::move(why));
}

/// A task that is cancelled before its first turn never runs: then lose() would not be called.
void h2_connection::end_reading() noexcept {
    must_end_ = true;
    if (has_begun_ && is_reading_) reading_.cancel();
}

task<> h2_connection::read_pieces() {
    while (!engine_.is_over()) {
        const chunk came = co_await stream_.read_some(room_for_bytes());
        if (!came) co_return;
        was_full_ = came.size() == buffer_size_;
        take(came.text());
        send();
    }
}

/// Small while the connection is idle; large when the peer sends much.
buffer_view h2_connection::room_for_bytes() {
    std::size_t wanted = std::max(buffer_size_, idle_buffer);
    if (was_full_) wanted = buffer_size_ == idle_buffer ? http_buffers::size : busy_buffer;
    if (users() == 0) wanted = idle_buffer;
    if (wanted != buffer_size_) {
        buffer_ = std::make_unique_for_overwrite<char[]>(wanted);
        buffer_size_ = wanted;
    }
    return {buffer_.get(), buffer_size_};
}

void h2_connection::take(std::string_view bytes) {
    heard_at_ = running_loop().time();
    if (heard_at_ - refilled_at_ >= refill_every) {
        refilled_at_ = heard_at_;
        engine_.refill();
    }
    heard_.unpark_all();
    engine_.receive(bytes);
}

void h2_connection::on_goaway(std::uint32_t, h2::code, std::string_view) {
    tell_room();
    if (users() == 0) abort();
}

// -- writing -------------------------------------------------------------------------------------
void h2_connection::send() noexcept {
    if (is_writing_ || is_cut_ || !is_reading_ || !engine_.wants_to_write()) return;
    is_writing_ = true;
    try {
        create_task(write_all(shared_from_this()), {.name = "writer of HTTP/2"});
    } catch (...) {  // no memory: the next call tries again
        is_writing_ = false;
    }
}

task<> h2_connection::write_all(std::shared_ptr<h2_connection> self) {
    try {
        co_await self->write_pieces();
    } catch (const write_error&) {
        if (!self->lost_) self->lost_ = std::current_exception();
        self->read_last_words();
    } catch (const std::exception&) {
        if (!self->lost_) self->lost_ = std::current_exception();
        self->is_retired_ = true;
        self->end_reading();
    }
    self->is_writing_ = false;
    self->written_.unpark_all();
    // A peer that broke the rules has been told so; nothing more is read.
    if (self->engine_.is_over()) self->end_reading();
}

/// The peer takes nothing more. The bytes that it sent before may say why, and which requests it
/// has not handled.
void h2_connection::read_last_words() noexcept {
    is_cut_ = is_retired_ = true;
    if (!is_reading_) return;
    try {
        const std::weak_ptr<h2_connection> self = weak_from_this();
        last_words_ = running_loop().call_at(running_loop().time() + last_words_in, [self] {
            if (const auto alive = self.lock()) alive->end_reading();
        });
    } catch (...) {  // no memory
        end_reading();
    }
}

task<> h2_connection::write_pieces() {
    while (is_reading_ && engine_.produce(out_, frames_at_once) != 0) {
        writing_since_ = running_loop().time();
        co_await stream_.write_all(const_buffer(out_.data(), out_.size()));
        out_.clear();
    }
    if (users() == 0) out_ = std::string();
}

// -- ends ----------------------------------------------------------------------------------------
/// Nothing is read any more: closes the streams that are left.
void h2_connection::lose(std::exception_ptr why) noexcept {
    is_reading_ = false;
    is_retired_ = true;
    last_words_.cancel();
    if (!lost_) lost_ = std::move(why);
    if (!is_closing_) stream_.abort();
    h2::closing how;
    how.code = h2::code::cancel;
    if (engine_.has_failed()) {
        how.code = engine_.why_code();
        how.why = engine_.why();
    }
    engine_.abandon(how);
    buffer_.reset();
    ended_.unpark_all();
    heard_.unpark_all();
    tell_ended();
}

std::string h2_connection::take_piece() {
    constexpr std::size_t pieces_max = 32;
    std::string piece;
    if (pieces_.capacity() == 0) pieces_.reserve(pieces_max);
    if (!pieces_.empty()) {
        piece = std::move(pieces_.back());
        pieces_.pop_back();
    }
    piece.reserve(piece_bytes);
    return piece;
}

void h2_connection::give_piece(std::string piece) noexcept {
    if (piece.capacity() < piece_bytes || pieces_.size() == pieces_.capacity()) return;
    piece.clear();
    pieces_.push_back(std::move(piece));
}

void h2_connection::abort() noexcept {
    is_retired_ = true;
    end_reading();
}

task<> h2_connection::wait_written() {
    while (is_writing_) co_await written_.park();
}
task<> h2_connection::wait_ended() {
    while (is_reading_) co_await ended_.park();
}
task<> h2_connection::wait_for_bytes() {
    if (is_reading_) co_await heard_.park();
}

/// Says farewell, in HTTP/2 and TLS, for a short time.
task<> h2_connection::close() {
    is_retired_ = is_closing_ = true;
    try {
        engine_.end();
        send();
        auto writing = wait_written();
        co_await move_on_after(farewell_in, std::move(writing));
        end_reading();
        co_await wait_ended();
        if (is_writing_)
            stream_.abort();
        else
            co_await stream_.close();
    } catch (const std::exception&) {  // it was broken already
        stream_.abort();
    } catch (...) {
        is_closing_ = false;
        abort();
        if (!is_reading_) stream_.abort();
        throw;
    }
}

task<bool> h2_connection::is_alive() {
    if (!is_reading_) co_return false;
    const time_point now = running_loop().time();
    if (is_writing_ && write_limit_ > duration::zero() && now - writing_since_ > write_limit_) {
        is_retired_ = true;  // the peer takes nothing
        tell_room();
        co_return false;
    }
    if (now - heard_at_ < silent_for) co_return true;
    const time_point before = heard_at_;
    if (heard_.empty()) engine_.ping();
    send();
    auto hearing = wait_for_bytes();
    co_await move_on_after(answered_in, std::move(hearing));
    if (heard_at_ != before && is_reading_) co_return true;
    is_retired_ = true;  // those that are at work have limits of their own
    tell_room();
    co_return false;
}

std::shared_ptr<http_shared_connection> make_h2_connection(http_connection::any_stream stream,
                                                           const exchange_options& options) {
    h2::require_available();
    auto made = std::make_shared<h2_connection>(std::move(stream), options);
    made->start();
    return made;
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
