// SPDX-License-Identifier: MIT
// A client of Redis and Valkey, in librondo-redis.
//
//     rondo::redis::client redis("redis://localhost");
//     co_await redis.set("greeting", "hello", {.expires = 1h});
//     std::optional<std::string> text = co_await redis.get("greeting");
//     auto reply = co_await redis.command("ZADD", "scores", 12.5, "ada");
//
// Make one client for a program, and let all tasks use it. Commands of several tasks share a
// connection: they are sent in the order of the calls, without waiting for earlier replies. So a
// `gather` of commands is a pipeline. Commands that block (BLPOP, XREAD BLOCK ...) get connections
// of their own.
//
// A connection that ends is made again. A command that was sent on it fails with connection_lost,
// which says that the server may have run it; commands that were not sent wait for the new
// connection. docs/redis.md has the whole story.
#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <rondo/create_task.hpp>
#include <rondo/detail/redis/words.hpp>
#include <rondo/redis/error.hpp>
#include <rondo/redis/value.hpp>
#include <rondo/task.hpp>
#include <rondo/tls_context.hpp>

namespace rondo {
inline namespace v0 {

namespace detail {
class redis_state;
struct work_queue_state;
}  // namespace detail

namespace redis {

/// Options of a client.
struct client_options {
    /// Of an attempt to connect, the look-up of the name and the greeting included.
    detail::time_limit connect = std::chrono::seconds(10);
    /// How long a command waits for a connection that was lost to be made again. The attempts are
    /// repeated after 10 ms to 1 s. A client that has never had a connection makes one attempt.
    detail::time_limit reconnect = std::chrono::seconds(30);
    /// A server that owes replies and sends nothing for this time is given up. Zero: no limit.
    detail::time_limit reply = std::chrono::seconds(30);
    /// Bytes of one reply; each element of a list counts for 64 bytes at least.
    std::size_t reply_bytes = std::size_t{64} * 1024 * 1024;
};
static_assert(std::is_trivially_destructible_v<client_options>);

/// Options of client::set.
struct set_options {
    detail::time_limit expires{};  ///< the key is deleted after this time; zero: never
    bool if_new = false;           ///< NX: only if the key does not exist
    bool if_there = false;         ///< XX: only if it exists
};
static_assert(std::is_trivially_destructible_v<set_options>);

/// A client. Move-only. It connects with its first command.
/// Thread: one loop's.
/// See:    redis.asyncio.Redis.
class RONDO_API client {
public:
    /// `redis://[user[:password]@]host[:port][/database]`, `rediss://...` with TLS (needs rondo
    /// with OpenSSL), `unix://[user[:password]@]/path/of/socket[?db=number]`. The port is 6379, the
    /// database 0 if they are not given.
    /// Throws: redis::url_error, which never contains the password.
    explicit client(std::string_view url = "redis://localhost", client_options options = {});
    client(client&&) noexcept;
    client& operator=(client&&) noexcept;
    /// Closes the connections. Commands that wait fail with connection_lost.
    ~client();

    /// Connects now, if there is no connection. Not needed, except to hear of a wrong address
    /// before the first command.
    /// Throws: redis::connection_error; redis::reply_error if the password is wrong;
    ///         rondo::tls_error.
    /// Cancel: leaves at once.
    task<> connect();

    /// Sends a command and returns its reply. Arguments are texts, numbers, and ranges of them,
    /// whose elements are arguments: `command("DEL", keys)`. The first words may stand in one:
    /// `command("CONFIG GET", "save")`.
    /// Returns: the reply.
    /// Throws:  redis::reply_error; redis::connection_error (not sent); redis::connection_lost (it
    ///          may have run); redis::error for commands that would change the connection of all
    ///          tasks (SUBSCRIBE, MULTI, SELECT, AUTH ...) or hold it up (WAIT).
    /// Cancel:  leaves at once; the server runs a command that was sent, and its reply is dropped.
    ///          A command that blocks is ended in the server: if it has taken something, that is
    ///          returned, and the next wait throws.
    /// See:     Redis.execute_command of redis-py.
    template <detail::redis_argument... Args>
    task<value> command(std::string_view name, const Args&... args) const {
        detail::redis_words words(name);
        (words.add(args), ...);
        return run(std::move(words));
    }
    template <class... Args>
        requires(!(detail::redis_argument<Args> && ...))
    detail::refused_call command(std::string_view, const Args&...) const {
        static_assert(sizeof...(Args) == 0,
                      "an argument of a Redis command is a text, a number, or a range of them: "
                      "write true and false as 1 and 0, and a duration as its count");
        return {};
    }

    // -- the everyday ones: redis-py has them by the same names ----------------------------------
    // Throws and Cancel as `command`.

    task<> ping() const;
    /// Returns: the value; empty if there is no such key.
    task<std::optional<std::string>> get(std::string_view key) const;
    /// Returns: false if `if_new` or `if_there` kept it from being set.
    task<bool> set(std::string_view key, const detail::redis_word& text,
                   set_options options = {}) const;
    /// Returns: how many of the keys existed.
    template <detail::redis_argument... Keys>
        requires(sizeof...(Keys) > 0)
    task<std::int64_t> del(const Keys&... keys) const {
        return number_of(command("DEL", keys...));
    }
    task<bool> exists(std::string_view key) const;
    /// Returns: the value after it.
    task<std::int64_t> incr(std::string_view key, std::int64_t by = 1) const;
    /// The key is deleted after `time`.
    /// Returns: false if there is no such key.
    task<bool> expire(std::string_view key, detail::time_limit time) const;

    /// Trust, client certificate and versions of TLS, for rediss://. For connections that are made
    /// from now on.
    void tls(tls::client_context context);

    /// The server, without user and password: "localhost:6379/0", "unix:/run/redis.sock".
    std::string_view name() const noexcept;
    /// True while there is a connection for commands.
    bool is_connected() const noexcept;

    /// Closes the connections and waits for that. Further commands throw closed_error.
    /// Cancel: closes at once.
    task<> close();

private:
    friend detail::work_queue_state;
    task<value> run(detail::redis_words words) const;
    static task<std::int64_t> number_of(task<value> reply);
    detail::redis_state& state() const noexcept;

    std::shared_ptr<detail::redis_state> state_;
};

}  // namespace redis
}  // namespace v0
}  // namespace rondo
