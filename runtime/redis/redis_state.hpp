// SPDX-License-Identifier: MIT
// The state of a client: the connection that all commands share, the task that makes it, and the
// connections for commands that block.
#pragma once

#include <exception>
#include <memory>
#include <vector>

#include <rondo/redis.hpp>

#include "redis/connection.hpp"
#include "redis/url.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

using redis_link = std::shared_ptr<redis_connection>;

class redis_state : public std::enable_shared_from_this<redis_state> {
public:
    redis_state(std::string_view url, redis::client_options options);

    /// Sends a command on the connection that it belongs on, and waits for its reply.
    task<redis::value> run(redis_words words);
    /// The shared connection, which is made if there is none.
    /// Throws: redis::connection_error.
    task<redis_link> connection();

    const std::string& name() const noexcept { return url_.name(); }
    const redis::client_options& options() const noexcept { return options_; }
    bool is_connected() const noexcept { return line_ && line_->is_open(); }
    void tls(tls::client_context context) { tls_ = std::move(context); }

    void abort() noexcept;
    task<> close();

private:
    static task<> connect_until_done(std::shared_ptr<redis_state> self);
    task<> connect_repeatedly();
    task<redis_link> make(bool blocks);
    task<std::unique_ptr<tls_transport>> open_stream();
    task<> greet(redis_link fresh, bool blocks);
    task<redis::value> run_blocking(redis_words words);
    task<bool> unblock(redis_link blocked, future<redis::value> reply);
    task<redis_link> borrow();
    class loan;

    const redis_url url_;
    const redis::client_options options_;
    tls::client_context tls_;
    redis_link line_;
    std::vector<redis_link> blocking_;  // for commands that block, one at a time on each
    future<> connecting_;
    std::exception_ptr failure_;  // of the last attempt
    wait_queue waiting_;          // for line_
    bool is_connecting_ = false;
    bool was_connected_ = false;
    bool is_closed_ = false;
};

/// True if the command blocks its connection until something happens.
bool blocks_connection(const redis_words& command);
/// Throws redis::error if the command would change the connection for all tasks.
void check_shareable(const redis_words& command);

}  // namespace detail
}  // namespace v0
}  // namespace rondo
