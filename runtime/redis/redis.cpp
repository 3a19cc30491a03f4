// SPDX-License-Identifier: MIT
// The client: commands and their replies.
#include <rondo/redis.hpp>

#include <algorithm>

#include <rondo/race.hpp>

#include "redis/redis_state.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

using namespace std::chrono_literals;

constexpr duration unblocked_in = 1s;
constexpr std::size_t idle_most = 16;

redis::value checked(const redis_words& command, redis::value reply) {
    if (reply.kind() == redis::value_kind::error)
        throw redis::reply_error(command.name(), reply.text());
    return reply;
}

/// Waits for a reply. Returns also if the task was cancelled after the reply had come.
task<> wait_for_reply(future<redis::value>& reply) {
    try {
        co_await reply;
    } catch (const cancelled&) {
        if (!reply.done() || reply.cancelled()) throw;
    }
}

}  // namespace

task<redis::value> redis_state::run(redis_words words) {
    if (cancel_requested()) throw cancelled();
    check_shareable(words);
    if (blocks_connection(words)) co_return co_await run_blocking(std::move(words));
    redis_link link = co_await connection();
    while (link->is_full()) {
        co_await link->room().park();
        if (!link->is_open()) link = co_await connection();
    }
    auto reply = link->send(words);
    co_await wait_for_reply(reply);
    co_return checked(words, take_result(std::move(reply)));
}

// -- commands that block -------------------------------------------------------------------------
/// A connection that one command uses. It is kept for the next one if its reply has come.
class redis_state::loan {
public:
    loan(redis_state& of, redis_link link) noexcept : of_(of), link_(std::move(link)) {}
    loan(const loan&) = delete;
    loan& operator=(const loan&) = delete;
    ~loan() {
        link_->is_busy = false;
        if (is_over && link_->is_open() && of_.blocking_.size() <= idle_most) return;
        link_->abort();
        std::erase(of_.blocking_, link_);
    }
    bool is_over = false;

private:
    redis_state& of_;
    redis_link link_;
};

task<redis_link> redis_state::borrow() {
    if (is_closed_) throw closed_error(name() + ": this client was closed");
    std::erase_if(blocking_, [](const redis_link& each) { return !each->is_open(); });
    for (const redis_link& each : blocking_)
        if (!std::exchange(each->is_busy, true)) co_return each;
    co_await connection();  // waits as other commands do, until the server is there
    redis_link fresh = co_await make(true);
    if (is_closed_) {
        fresh->abort();
        throw closed_error(name() + ": this client was closed");
    }
    blocking_.push_back(fresh);
    fresh->is_busy = true;
    co_return fresh;
}

task<redis::value> redis_state::run_blocking(redis_words words) {
    const redis_link link = co_await borrow();
    loan used(*this, link);
    auto reply = link->send(words);
    const future_keeper keeper(future_core(reply));  // it is still wanted after a cancellation
    bool was_cancelled = false, is_over = true;
    try {
        co_await reply;
    } catch (const cancelled&) {
        was_cancelled = true;
    }
    if (was_cancelled && !reply.done()) is_over = co_await shield(unblock(link, reply));
    if (!reply.done()) throw cancelled();
    used.is_over = is_over;
    redis::value came = take_result(std::move(reply));
    if (was_cancelled && came.is_nil()) throw cancelled();
    co_return checked(words, std::move(came));
}

/// Ends a command that blocks, and waits for its reply for a short time. The request may reach the
/// server before the command itself, so it is repeated.
/// Returns: false if a request may still be under way: it would end the connection's next command.
task<bool> redis_state::unblock(redis_link blocked, future<redis::value> reply) {
    const time_point give_up = running_loop().time() + unblocked_in;
    duration pause = 10ms;
    while (!reply.done() && is_connected() && running_loop().time() < give_up) {
        redis_words request("CLIENT UNBLOCK");
        request.add(blocked->id);
        try {
            auto asking = line_->send(request);
            const auto answer =
                co_await move_on_after(give_up - running_loop().time(), std::move(asking));
            if (!answer) co_return false;
            co_await move_on_after(pause, reply);
        } catch (const std::exception&) {  // of one of the connections: nothing more will come
            co_return false;
        }
        pause *= 2;
    }
    co_return true;
}

}  // namespace detail

namespace redis {

using detail::redis_words;

client::client(std::string_view url, client_options options)
    : state_(std::make_shared<detail::redis_state>(url, options)) {}
client::client(client&&) noexcept = default;
client& client::operator=(client&& other) noexcept {
    client old(std::move(other));
    state_.swap(old.state_);
    return *this;
}
client::~client() {
    if (state_) state_->abort();
}

detail::redis_state& client::state() const noexcept {
    RONDO_ASSERT(state_, "this client of Redis was moved from");
    return *state_;
}

namespace {

task<> connected(std::shared_ptr<detail::redis_state> state) { co_await state->connection(); }
task<> closed(std::shared_ptr<detail::redis_state> state) { co_await state->close(); }
task<value> run_held(std::shared_ptr<detail::redis_state> state, redis_words words) {
    co_return co_await state->run(std::move(words));
}
task<> without_value(task<value> reply) { co_await std::move(reply); }
task<bool> not_nil(task<value> reply) {
    const value came = co_await std::move(reply);
    co_return !came.is_nil();
}
task<bool> not_zero(task<value> reply) {
    const value came = co_await std::move(reply);
    co_return came.number() != 0;
}
task<std::optional<std::string>> text_of(task<value> reply) {
    value came = co_await std::move(reply);
    co_return std::move(came).optional_text();
}

std::int64_t milliseconds(duration time) {
    return std::max<std::int64_t>(1, std::chrono::ceil<std::chrono::milliseconds>(time).count());
}

}  // namespace

task<> client::connect() {
    static_cast<void>(state());
    return connected(state_);
}
task<value> client::run(redis_words words) const {
    static_cast<void>(state());
    return run_held(state_, std::move(words));
}

task<std::int64_t> client::number_of(task<value> reply) {
    const value came = co_await std::move(reply);
    co_return came.number();
}

task<> client::ping() const { return without_value(command("PING")); }
task<std::optional<std::string>> client::get(std::string_view key) const {
    return text_of(command("GET", key));
}
task<bool> client::set(std::string_view key, const detail::redis_word& text,
                       set_options options) const {
    redis_words words("SET");
    words.add(key);
    words.add(text);
    if (options.if_new) words.add("NX");
    if (options.if_there) words.add("XX");
    if (options.expires > duration::zero()) {
        words.add("PX");
        words.add(milliseconds(options.expires));
    }
    return not_nil(run(std::move(words)));
}
task<bool> client::exists(std::string_view key) const { return not_zero(command("EXISTS", key)); }
task<std::int64_t> client::incr(std::string_view key, std::int64_t by) const {
    return number_of(command("INCRBY", key, by));
}
task<bool> client::expire(std::string_view key, detail::time_limit time) const {
    return not_zero(command("PEXPIRE", key, milliseconds(time)));
}

void client::tls(tls::client_context context) { state().tls(std::move(context)); }
std::string_view client::name() const noexcept { return state().name(); }
bool client::is_connected() const noexcept { return state().is_connected(); }
task<> client::close() {
    static_cast<void>(state());
    return closed(state_);
}

}  // namespace redis
}  // namespace v0
}  // namespace rondo
