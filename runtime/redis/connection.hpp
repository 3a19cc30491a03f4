// SPDX-License-Identifier: MIT
// A connection to a Redis server: commands are appended to what is to be sent, and replies are
// given to them in their order.
//
// Two tasks move the bytes: one reads as long as the connection lives, the other writes while there
// is something. A task that waits for its reply does neither. So a command that is cancelled can
// break neither a write that has bytes of others in it, nor the order of the replies: its place
// stays, and its reply is dropped.
#pragma once

#include <cstddef>
#include <deque>
#include <exception>
#include <memory>
#include <string>
#include <string_view>

#include <rondo/detail/redis/words.hpp>
#include <rondo/future.hpp>
#include <rondo/redis/value.hpp>
#include <rondo/sleep.hpp>
#include <rondo/tls_stream.hpp>
#include <rondo/wait_queue.hpp>

#include "redis/reply_reader.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

/// Limits of a connection.
struct redis_limits {
    std::size_t reply_bytes;
    duration reply;  // zero: none
};

class redis_connection : public std::enable_shared_from_this<redis_connection> {
public:
    /// `name` is the server's, for texts.
    redis_connection(std::unique_ptr<tls_transport> stream, std::string name, redis_limits limits);
    /// Begins to read.
    void start();

    /// Sends a command.
    /// Returns: its reply, which may be a value of the kind error. The future throws
    ///          redis::connection_lost.
    /// Throws:  redis::connection_error if the connection has ended.
    future<redis::value> send(const redis_words& command);

    /// False if a command that is sent now would get no reply.
    bool is_open() const noexcept { return is_reading_; }
    /// True while so much is to be sent that further commands should wait in `room`.
    bool is_full() const noexcept { return out_.size() >= out_most; }
    wait_queue& room() noexcept { return room_; }

    /// Closes the connection. Commands that wait fail.
    void abort() noexcept;
    /// The same, and waits until it is closed.
    task<> close();

    // Of a connection for commands that block: the number that CLIENT ID gave, for CLIENT UNBLOCK,
    // and whether a command is using it.
    std::int64_t id = 0;
    bool is_busy = false;

private:
    static constexpr std::size_t out_most = std::size_t{4} * 1024 * 1024;
    static constexpr std::size_t kept_most = std::size_t{256} * 1024;
    static constexpr std::size_t buffer_size = std::size_t{32} * 1024;

    static task<> read_all(std::shared_ptr<redis_connection> self);
    static task<> write_all(std::shared_ptr<redis_connection> self);
    task<> read_pieces();
    task<> write_pieces();
    void take(std::string_view bytes);
    void give(redis::value reply);
    void expect_reply();
    void lose(const std::string& why, bool is_protocol_broken) noexcept;

    std::unique_ptr<tls_transport> stream_;
    byte_stream* const plain_;  // the same, if its waits need no frame of their own
    const std::string name_;
    const redis_limits limits_;
    reply_reader replies_;
    std::deque<promise<redis::value>> waiting_;
    std::unique_ptr<char[]> buffer_;
    std::string out_;
    std::string sending_;
    std::string broken_;  // why a write failed
    future<> reading_;
    timeout_scope* patience_ = nullptr;  // of the reading task: until the next byte must come
    wait_queue room_;
    wait_queue ended_;
    bool is_reading_ = false;
    bool is_writing_ = false;
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
