// SPDX-License-Identifier: MIT
// The end of a connection: in order, with a close_notify from each side, or at once.
#include <array>
#include <chrono>
#include <exception>

#include <rondo/create_task.hpp>
#include <rondo/sleep.hpp>

#include "tls/connection.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

constexpr std::chrono::seconds patience(1);  // for the peer's close_notify
constexpr auto closing_kind = wait_queue::kind("the end of reads and writes");

/// Closes the transport at the end, whatever happens.
class hang_up_at_end {
public:
    explicit hang_up_at_end(tls_connection& c) noexcept : c_(c) {}
    hang_up_at_end(const hang_up_at_end&) = delete;
    hang_up_at_end& operator=(const hang_up_at_end&) = delete;
    ~hang_up_at_end() { c_.transport->hang_up(); }

private:
    tls_connection& c_;
};

task<> say_goodbye(tls_connection& c) {
    if (!std::exchange(c.said_goodbye, true)) c.engine->say_goodbye();
    co_await flush(c, true);
}

/// Reads, and drops the bytes, until the peer's close_notify or the end.
task<> hear_goodbye(tls_connection& c) {
    std::array<char, 1024> dropped;
    for (;;) {
        std::size_t count = 0;
        const tls_step step = c.engine->read(dropped, count);
        if (step == tls_step::closed || step == tls_step::failed) co_return;
        if (step == tls_step::done) continue;
        const std::size_t came = co_await receive(c);
        if (came == 0) co_return;
    }
}

task<> part(tls_connection& c) {
    try {
        co_await say_goodbye(c);
        co_await hear_goodbye(c);
    } catch (const std::exception&) {  // the connection is closed in any case
    }
}

task<> say_goodbye_and_close(tls_shared self) {
    const hang_up_at_end guard(*self);
    try {
        co_await move_on_after(patience, say_goodbye(*self));
    } catch (const std::exception&) {
    }
}

constexpr std::size_t dropped_most = 256 * 1024;

task<> drop_input(tls_connection& c) {
    for (std::size_t dropped = 0; dropped < dropped_most;) {
        const std::size_t came = co_await receive(c);
        if (came == 0) co_return;
        dropped += came;
        c.engine->input = read_buffer();
    }
}

task<> linger(tls_shared self) {
    const hang_up_at_end guard(*self);
    try {
        co_await move_on_after(patience, drop_input(*self));
    } catch (const std::exception&) {
    }
}

}  // namespace

void close_after_failure(const tls_shared& self) noexcept {
    try {
        if (self->has_refused()) {
            self->lingers = true;
            static_cast<void>(create_task(linger(self), {.name = "tls refusal", .eager = true}));
            return;
        }
    } catch (...) {  // no memory for the task
    }
    self->transport->hang_up();
}

void begin_closing(tls_connection& c) noexcept {
    c.closed = true;
    if (c.receive_scope != nullptr && !c.lingers) cancel(*c.receive_scope);
    // Records that no task of the user's waits for may still be sent before the close_notify.
    const bool awaited = c.writing || c.phase == tls_connection::phase_t::shaking;
    if (c.send_scope != nullptr && awaited) cancel(*c.send_scope);
    c.changed.unpark_all();
}

void close_now(const tls_shared& self, bool with_goodbye) noexcept {
    tls_connection& c = *self;
    if (c.lingers && with_goodbye) return;
    const bool can = with_goodbye && c.is_healthy() && !c.said_goodbye && !c.writing;
    try {
        if (can) {
            static_cast<void>(
                create_task(say_goodbye_and_close(self), {.name = "tls close", .eager = true}));
            if (!c.reading) return;  // otherwise the reader is not to wait for it
        }
    } catch (...) {  // no memory, or no loop runs
    }
    c.transport->hang_up();
}

task<> close_in_order(tls_shared self) {
    if (!self) co_return;
    tls_connection& c = *self;
    {
        const hang_up_at_end guard(c);
        if (cancel_requested()) throw cancelled();
        while (c.reading || c.writing || c.phase == tls_connection::phase_t::shaking)
            co_await c.changed.park(closing_kind, pass_on_nothing, nullptr);
        if (c.is_healthy()) co_await move_on_after(patience, part(c));
    }
    co_await c.transport->close();
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
