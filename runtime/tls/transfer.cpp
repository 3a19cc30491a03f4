// SPDX-License-Identifier: MIT
// Bytes between the engine and the transport.
#include <algorithm>
#include <bit>
#include <cerrno>
#include <system_error>
#include <utility>

#include <rondo/create_task.hpp>

#include "tls/connection.hpp"
#include "tls/spare.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

constexpr auto sending_kind = wait_queue::kind("another task to send");

/// The scope of a wait on the transport: closing the stream cancels it, while the transport itself
/// stays open for the close_notify.
class transport_wait : public inner_scope {
public:
    explicit transport_wait(inner_scope*& slot) noexcept : slot_(slot) { slot_ = this; }
    ~transport_wait() { slot_ = nullptr; }

private:
    inner_scope*& slot_;
};

}  // namespace

void throw_closed_meanwhile(const tls_connection& c, const char* verb) {
    throw_system_error(ECANCELED, verb, c.name);
}

// -- receiving ------------------------------------------------------------------------------------

namespace {

buffer_view room_to_receive(tls_connection& c) {
    read_buffer& input = c.engine->input;
    if (input.empty()) give_spare(input);  // its size may be another one
    if (input.empty() && c.receive_size == tls_connection::receive_most) take_spare(input);
    return input.room(c.receive_size);
}

void received(tls_connection& c, std::size_t count, std::size_t room) noexcept {
    c.engine->input.filled(count);
    // Room for twice what came, since the buffer is held while the task waits.
    constexpr std::size_t least = tls_connection::receive_least;
    constexpr std::size_t most = tls_connection::receive_most;
    c.receive_size = count == room ? most : std::clamp(std::bit_ceil(2 * count), least, most);
}

}  // namespace

task<std::size_t> receive(tls_connection& c) {
    const buffer_view room = room_to_receive(c);
    const transport_wait scope(c.receive_scope);
    try {
        chunk came;
        if (byte_stream* const stream = c.transport->direct())
            came = co_await stream->read_some(room);
        else
            came = co_await c.transport->read_some(room);
        received(c, came.size(), room.size());
        co_return came.size();
    } catch (const cancelled&) {
        if (!scope.ends_here()) throw;
    }
    throw_closed_meanwhile(c, "recv");
}

// -- sending --------------------------------------------------------------------------------------

namespace {

[[noreturn]] void throw_broken(const tls_connection& c) {
    if (c.closed) throw_closed_meanwhile(c, "send");
    if (c.send_error != 0) throw_system_error(c.send_error, "send", c.name);
    throw invalid_state_error(c.titled("send") +
                              ": an earlier write ended in its middle, so this one would be out "
                              "of place");
}

/// Marks the connection as sending, until the end of a send.
class sender_mark {
public:
    explicit sender_mark(tls_connection& c) noexcept : c_(c) { c_.sending = true; }
    sender_mark(const sender_mark&) = delete;
    sender_mark& operator=(const sender_mark&) = delete;
    ~sender_mark() {
        c_.sending = false;
        if (!sent_) c_.broken = true;
        c_.changed.unpark_all();
    }
    void sent() noexcept { sent_ = true; }

private:
    tls_connection& c_;
    bool sent_ = false;
};

task<> send_output(tls_connection& c) {
    sender_mark mark(c);
    const transport_wait scope(c.send_scope);
    c.in_flight = std::exchange(c.engine->output, read_buffer());
    const const_buffer bytes = c.in_flight.text();
    try {
        if (byte_stream* const stream = c.transport->direct())
            co_await stream->write_all(bytes);
        else
            co_await c.transport->write_all(bytes);
        mark.sent();
        c.in_flight.drop(bytes.size());
        if (c.engine->output.empty()) std::swap(c.in_flight, c.engine->output);  // its memory
        co_return;
    } catch (const cancelled&) {
        if (!scope.ends_here()) throw;
    } catch (const std::system_error& error) {
        c.send_error = error.code().value();
        throw;
    }
    throw_closed_meanwhile(c, "send");
}

task<> send_for(tls_shared self) {
    try {
        co_await flush(*self);
    } catch (const std::exception&) {  // the next write throws it again
    }
}

}  // namespace

task<> flush(tls_connection& c, bool closing) {
    for (;;) {
        if (c.broken) throw_broken(c);
        if (c.closed && !closing) throw_closed_meanwhile(c, "send");
        if (c.sending)
            co_await c.changed.park(sending_kind, pass_on_nothing, nullptr);
        else if (!c.engine->output.empty())
            co_await send_output(c);
        else
            co_return;
    }
}

void flush_aside(const tls_shared& c) noexcept {
    if (c->engine->output.empty() || c->sending) return;
    if (c->broken) {
        c->engine->output = read_buffer();
        return;
    }
    try {
        static_cast<void>(create_task(send_for(c), {.name = "tls send", .eager = true}));
    } catch (...) {  // no memory for the task: the next write sends it
    }
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
