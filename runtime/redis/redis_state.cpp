// SPDX-License-Identifier: MIT
// Making connections, and making them again.
#include "redis/redis_state.hpp"

#include <algorithm>

#include <rondo/connect.hpp>
#include <rondo/create_task.hpp>
#include <rondo/retry.hpp>
#include <rondo/tls_error.hpp>
#include <rondo/unix.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

using namespace std::chrono_literals;

constexpr auto waits_for_connection = wait_queue::kind("a connection to Redis");
constexpr duration probe_after = 15s;  // of a silent peer, by TCP

/// Closes a connection that is not finished.
class unfinished {
public:
    explicit unfinished(redis_link link) noexcept : link_(std::move(link)) {}
    unfinished(const unfinished&) = delete;
    unfinished& operator=(const unfinished&) = delete;
    ~unfinished() {
        if (link_) link_->abort();
    }
    redis_link finish() noexcept { return std::move(link_); }

private:
    redis_link link_;
};

bool is_starting(const redis::reply_error& error) noexcept { return error.code() == "LOADING"; }

/// Throws the error with which a server answered a command of the greeting.
[[noreturn]] void throw_refused(const std::string& server, const std::string& command,
                                std::string text, const std::string& password) {
    if (text.starts_with("ERR max number of clients"))  // others will leave
        throw redis::connection_error("connect " + server + ": " + text);
    // A server that does not know AUTH repeats its words.
    if (command == "AUTH") {
        text.resize(std::min(text.size(), text.find(", with args")));
        if (!password.empty() && text.find(password) != std::string::npos)
            text.resize(std::min(text.size(), text.find(' ')));
    }
    throw redis::reply_error(command, text);
}

}  // namespace

redis_state::redis_state(std::string_view url, redis::client_options options)
    : url_(url), options_(options) {}

// -- the shared connection -----------------------------------------------------------------------
task<redis_link> redis_state::connection() {
    for (;;) {
        if (is_closed_) throw closed_error(name() + ": this client was closed");
        if (is_connected()) co_return line_;
        if (!is_connecting_) {
            failure_ = nullptr;
            connecting_ = create_task(connect_until_done(shared_from_this()),
                                      {.name = "connecting to Redis"});
            is_connecting_ = true;
        }
        co_await waiting_.park(
            waits_for_connection, [](void*) noexcept {}, nullptr);
        if (failure_ && !is_connecting_) std::rethrow_exception(failure_);
    }
}

task<> redis_state::connect_until_done(std::shared_ptr<redis_state> self) {
    try {
        co_await self->connect_repeatedly();
    } catch (...) {  // the end of the client, or of the loop
        self->failure_ = std::make_exception_ptr(
            redis::connection_error(self->name() + ": the client was closed"));
    }
    self->is_connecting_ = false;
    self->waiting_.unpark_all();
}

task<> redis_state::connect_repeatedly() {
    retry_state delays({.attempts = 0, .delay = 10ms, .longest = 1s});
    const time_point give_up = saturating_add(running_loop().time(), options_.reconnect);
    for (;;) {
        bool again = was_connected_;
        try {
            line_ = co_await make(false);
            was_connected_ = true;
            failure_ = nullptr;
            co_return;
        } catch (const redis::reply_error& error) {
            again = is_starting(error);
            failure_ = std::current_exception();
        } catch (const redis::connection_error&) {
            failure_ = std::current_exception();
        } catch (const std::exception&) {  // TLS: another attempt would not help
            again = false;
            failure_ = std::current_exception();
        }
        if (!again || running_loop().time() >= give_up) co_return;
        co_await sleep(delays.next_delay());
    }
}

task<redis_link> redis_state::make(bool blocks) {
    timeout_scope limit(saturating_add(running_loop().time(), options_.connect));
    try {
        auto stream = co_await open_stream();
        redis_limits limits{options_.reply_bytes, options_.reply};
        if (blocks) limits.reply = duration::zero();
        auto link = std::make_shared<redis_connection>(std::move(stream), name(), limits);
        link->start();
        unfinished keeper(link);
        co_await greet(std::move(link), blocks);
        co_return keeper.finish();
    } catch (const cancelled&) {
        if (!limit.timed_out()) throw;
    } catch (const redis::protocol_error&) {
        throw redis::connection_error("connect " + url_.server() +
                                      ": the server does not speak the protocol of Redis");
    } catch (const tls_truncated_error& error) {  // a server or a proxy that is started again
        throw redis::connection_error(error.what());
    } catch (const redis::connection_lost&) {  // no command was sent, but the greeting
        throw redis::connection_error("connect " + url_.server() +
                                      ": the server closed the connection");
    } catch (const std::system_error& error) {
        throw redis::connection_error(error.what());
    }
    throw redis::connection_error(
        timeout_error("connect " + url_.server(), options_.connect).what());
}

task<std::unique_ptr<tls_transport>> redis_state::open_stream() {
    if (url_.is_unix()) {
        auto local = co_await connect_unix(endpoint::unix_path(url_.path()));
        co_return make_transport(std::move(local));
    }
    connect_options how;
    how.keep_alive = probe_after;
    auto plain = co_await connect_tcp(url_.host(), url_.port(), how);
    if (!url_.is_secure()) co_return make_transport(std::move(plain));
    tls_options limits;
    limits.handshake = duration::max();  // `make` has the limit
    auto secure = co_await start_tls(std::move(plain), tls_, url_.host(), limits);
    co_return make_transport(std::move(secure));
}

/// User, database and the like. PING, since a server that still reads its data refuses that too.
task<> redis_state::greet(redis_link fresh, bool blocks) {
    struct awaited : std::vector<future<redis::value>> {
        ~awaited() {
            for (auto& each : *this) each.cancel();  // those that are not wanted any more
        }
    } replies;
    std::vector<std::string> names;
    const auto send = [&](redis_words command) {
        names.emplace_back(command.name());
        replies.push_back(fresh->send(command));
    };
    if (!url_.password().empty() || !url_.user().empty()) {
        redis_words login("AUTH");
        if (!url_.user().empty()) login.add(url_.user());
        login.add(url_.password());
        send(std::move(login));
    }
    if (url_.database() != 0) {
        redis_words choose("SELECT");
        choose.add(url_.database());
        send(std::move(choose));
    }
    if (blocks)
        send(redis_words("CLIENT ID"));
    else
        send(redis_words("PING"));
    for (std::size_t i = 0; i < replies.size(); ++i) {
        const redis::value& reply = co_await replies[i];
        if (reply.kind() == redis::value_kind::error)
            throw_refused(url_.server(), names[i], reply.text(), url_.password());
        if (blocks && i + 1 == replies.size()) fresh->id = reply.number();
    }
}

void redis_state::abort() noexcept {
    is_closed_ = true;
    if (is_connecting_) connecting_.cancel();
    if (line_) line_->abort();
    for (const redis_link& each : blocking_) each->abort();
}

task<> redis_state::close() {
    const redis_link line = line_;
    const std::vector<redis_link> blocking = blocking_;
    abort();
    if (line) co_await line->close();
    for (const redis_link& each : blocking) co_await each->close();
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
