// SPDX-License-Identifier: MIT
// The public stream: reading, and what hands over to the connection.
#include <rondo/tls_stream.hpp>

#include <utility>

#include "tls/connection.hpp"
#include "tls/spare.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

tls_turn::tls_turn(tls_connection& connection, bool& busy, const char* verb)
    : connection_(&connection), busy_(&busy) {
    if (cancel_requested()) throw cancelled();
    const std::string what = connection.titled(verb);
    if (connection.closed) throw closed_error(what + ": this stream was closed");
    if (busy)
        throw invalid_state_error(what + ": another task is " +
                                  (&busy == &connection.reading ? "reading from" : "writing to") +
                                  " this stream");
    busy = true;
}

tls_turn::~tls_turn() {
    if (connection_ == nullptr) return;
    *busy_ = false;
    connection_->changed.unpark_all();
}

namespace {

constexpr std::size_t output_most = 64 * 1024;  // answers to the peer that wait to be sent

/// The part of a read that needs no wait. True if `step` is its result.
tls_step read_step(const tls_shared& self, buffer_view into, std::size_t& got) {
    tls_connection& c = *self;
    const tls_step step = c.engine->read(into, got);
    flush_aside(self);
    if (step == tls_step::failed) std::rethrow_exception(c.keep_failure("recv"));
    // A large buffer that is not in use is not kept.
    if (c.engine->input.empty()) give_spare(c.engine->input);
    return step;
}

/// Reads past the bytes that were read ahead. The caller has the turn.
task<chunk> receive_plain(tls_shared self, buffer_view into) {
    tls_connection& c = *self;
    if (c.phase != tls_connection::phase_t::ready) co_await shake_hands(self);
    if (c.failure) std::rethrow_exception(c.failure);
    if (into.empty()) co_return chunk(into);
    for (;;) {
        std::size_t got = 0;
        const tls_step step = read_step(self, into, got);
        if (step == tls_step::done) co_return chunk(into.first(got));
        if (step == tls_step::closed) co_return chunk();
        if (c.closed) throw_closed_meanwhile(c, "recv");
        if (c.engine->output.size() > output_most) co_await flush(c);
        const std::size_t came = co_await receive(c);
        if (came == 0) c.engine->end_input();
    }
}

/// The source of the buffered reads: see reading_ahead.hpp.
class tls_source {
public:
    explicit tls_source(tls_shared connection) noexcept : connection_(std::move(connection)) {}

    read_buffer& ahead() const noexcept { return connection_->ahead; }
    void check(const char* verb) {
        turn_ = tls_turn(*connection_, connection_->reading, verb);
    }
    task<chunk> receive(buffer_view into) { return receive_plain(connection_, into); }
    task<bool> receive_ahead() {
        read_buffer& to = ahead();
        const chunk came = co_await receive_plain(connection_, to.room(receive_room));
        to.filled(came.size());
        co_return static_cast<bool>(came);
    }
    std::string name() const { return connection_->name; }

private:
    tls_shared connection_;
    tls_turn turn_;
};

}  // namespace

task<chunk> read_plain(tls_shared self, buffer_view into) {
    tls_connection& c = *self;
    const tls_turn turn(c, c.reading, "recv");
    if (!c.ahead.empty()) co_return chunk(into.first(c.ahead.take(into)));
    co_return co_await receive_plain(self, into);
}

}  // namespace detail

// -- tls_closing ----------------------------------------------------------------------------------

tls_closing::~tls_closing() {
    if (connection_) detail::close_now(connection_, true);
}

detail::task_awaiter<void> tls_closing::rondo_awaiter() && {
    return detail::task_awaiter<void>(
        &detail::close_in_order(std::exchange(connection_, nullptr)).release());
}

// -- tls_stream -----------------------------------------------------------------------------------

tls_stream::~tls_stream() {
    if (!connection_ || connection_->closed) return;
    connection_->dropped = true;
    if (connection_->kept) return;
    detail::begin_closing(*connection_);
    // A peer that was refused is to read why: that goes on, also if the error is on its way.
    const bool in_order = connection_->lingers || std::uncaught_exceptions() == 0;
    detail::close_now(connection_, in_order);
}

tls_closing tls_stream::close() noexcept {
    if (!connection_ || connection_->closed) return tls_closing(nullptr);
    detail::begin_closing(*connection_);
    return tls_closing(connection_);
}

void tls_stream::abort() noexcept {
    if (!connection_) return;
    detail::begin_closing(*connection_);
    detail::close_now(connection_, false);
}

bool tls_stream::is_open() const noexcept { return connection_ && !connection_->closed; }

task<> tls_stream::handshake() { return detail::shake_hands(connection()); }

task<bool> tls_stream::is_spoken_to() {
    try {
        co_await handshake();
    } catch (const tls_truncated_error&) {
        co_return false;
    }
    co_return true;
}

task<chunk> tls_stream::read_some(buffer_view into) {
    return detail::read_plain(connection(), into);
}
task<std::optional<std::string>> tls_stream::read_line(std::size_t limit) {
    return detail::read_line(detail::tls_source(connection()), limit);
}
task<std::string> tls_stream::read_until(std::string separator, std::size_t limit) {
    return detail::read_until(detail::tls_source(connection()), std::move(separator), limit);
}
task<> tls_stream::read_exactly(buffer_view into) {
    return detail::read_exactly(detail::tls_source(connection()), into);
}
task<std::string> tls_stream::read_exactly(std::size_t size) {
    return detail::read_exactly(detail::tls_source(connection()), size);
}
task<std::string> tls_stream::read_all(std::size_t limit) {
    return detail::read_all(detail::tls_source(connection()), limit);
}
task<std::string_view> tls_stream::peek(std::size_t least) {
    return detail::peek(detail::tls_source(connection()), least);
}
void tls_stream::unread(const_buffer bytes) { connection()->ahead.prepend(bytes); }

task<> tls_stream::write_all(const_buffer data) {
    return detail::write_tls_parts<1>(connection(), {data});
}
task<> tls_stream::shutdown_write() { return detail::end_writing(connection()); }

bool tls_stream::is_quiet() noexcept {
    if (!connection_ || connection_->closed || !connection_->is_healthy()) return false;
    detail::tls_connection& c = *connection_;
    if (c.reading || !c.ahead.empty() || !c.transport->is_quiet()) return false;
    // Records that have come with others may hold no byte for the user: tickets of sessions.
    char byte;
    std::size_t got = 0;
    const detail::tls_step step = c.engine->read({&byte, 1}, got);
    if (step != detail::tls_step::done) return step == detail::tls_step::want_input;
    try {
        if (got != 0) c.ahead.prepend(const_buffer(&byte, got));
    } catch (...) {
        c.fail(std::current_exception());
    }
    return false;
}

std::string_view tls_stream::alpn() const noexcept { return connection()->engine->alpn(); }
tls::version tls_stream::version() const noexcept { return connection()->engine->version(); }
std::string_view tls_stream::cipher() const noexcept { return connection()->engine->cipher(); }
bool tls_stream::resumed() const noexcept { return connection()->engine->resumed(); }
std::string_view tls_stream::server_name() const noexcept {
    return connection()->engine->server_name();
}
std::optional<tls::certificate> tls_stream::peer_certificate() const {
    return connection()->engine->peer_certificate();
}
std::string_view tls_stream::peer_name() const noexcept { return connection()->name; }
endpoint tls_stream::local() const { return connection()->transport->local(); }
endpoint tls_stream::remote() const { return connection()->transport->remote(); }

// -- serve ----------------------------------------------------------------------------------------

tls_stream::keeper::keeper(detail::tls_shared connection) noexcept
    : connection_(std::move(connection)) {
    connection_->kept = true;
}

tls_stream::keeper::~keeper() {
    if (!connection_) return;
    connection_->kept = false;
    if (!connection_->dropped || connection_->closed) return;
    detail::begin_closing(*connection_);
    detail::close_now(connection_, false);
}

task<> tls_stream::keeper::finish() {
    detail::tls_shared connection = std::exchange(connection_, nullptr);
    connection->kept = false;
    if (!connection->dropped || connection->closed) co_return;
    detail::begin_closing(*connection);
    co_await detail::close_in_order(std::move(connection));
}

}  // namespace v0
}  // namespace rondo
