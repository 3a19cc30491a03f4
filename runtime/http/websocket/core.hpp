// SPDX-License-Identifier: MIT
// A WebSocket at work: two tasks, one that reads and one that writes, around the engine. The user's
// tasks take messages from a queue and wait for the writing task, so that they can be cancelled at
// any moment: the stream never stops inside of a frame.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <rondo/gather.hpp>
#include <rondo/http/websocket.hpp>
#include <rondo/loop.hpp>
#include <rondo/sync/mutex.hpp>
#include <rondo/wait_queue.hpp>

#include "http/websocket/engine.hpp"
#include "http/transport.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

class websocket_core final : public http_upgraded {
public:
    struct setup {
        http::ws::settings engine;
        duration ping_after{};
        duration ping_limit{};
        duration write_limit{};
        std::string subprotocol;
    };

    /// `transport` must live until run() has ended.
    websocket_core(http_transport& transport, setup how);
    websocket_core(const websocket_core&) = delete;
    websocket_core& operator=(const websocket_core&) = delete;
    ~websocket_core();

    /// Reads and writes until the connection has ended, and closes it.
    /// Throws: cancelled.
    task<> run();
    /// Begins the close from our side, unless it has begun.
    void begin_close(int code, std::string_view reason);
    /// The same where nothing may fail.
    void close_or_cut(int code) noexcept;
    /// The user's object is gone.
    void release() noexcept;
    /// Ends all waits, if run() could not.
    void over() noexcept;
    void begin_end() noexcept override;

    // -- for the user ----------------------------------------------------------------------------
    task<std::optional<http::websocket_message>> next();
    task<> send(bool is_text, std::string_view bytes);
    task<> close(int code, std::string_view reason);
    task<> wait_closed();
    bool is_open() const noexcept { return !wants_close_ && !has_no_more(); }
    const setup& how() const noexcept { return setup_; }
    int close_code() const noexcept;
    const std::string& close_reason() const noexcept { return engine_.close_reason(); }
    /// True if the peer, the network or the server's end has ended it.
    bool was_ended() const noexcept {
        return failed_ != nullptr || unwritten_ != nullptr || peer_began_ || server_ends_;
    }

private:
    // -- core.cpp
    task<> read_all();
    task<> read_frames();
    task<> take(std::string_view bytes);
    void take_message();
    task<> write_all();
    task<> write_frames();
    bool add_control();
    task<> finish();
    void lose(const char* why) noexcept;
    void fail(int code, std::string_view why);
    void end_by(int code, std::string_view reason);
    void take_close();
    void drop_messages() noexcept;
    void wake_all() noexcept;
    void set_timer(time_point when);
    void limit_write();
    void on_timer();
    void cut() noexcept;

    bool is_full() const noexcept;
    bool has_no_more() const noexcept { return is_over_ || peer_closed_ || failed_ != nullptr; }
    bool is_peers_error() const noexcept;
    bool is_writing() const noexcept { return is_writing_ || !engine_.out.empty(); }
    void check_sendable() const;
    [[noreturn]] void throw_closed() const;
    http::websocket_error peers_error() const;

    http_transport* transport_;  // null after the end
    setup setup_;
    http::ws::engine engine_;
    children* scope_ = nullptr;  // while run() runs

    std::deque<http::websocket_message> messages_;
    std::size_t waiting_bytes_ = 0;  // of messages_
    wait_queue arrived_;             // waits for messages
    wait_queue room_;                // the reading task waits for room for them

    mutex turn_;            // of a message to be sent
    wait_queue written_;    // waits for the writing task
    wait_queue work_;       // the writing task waits
    std::string being_written_;
    std::uint64_t added_ = 0;  // messages
    std::uint64_t sent_ = 0;

    std::exception_ptr failed_;
    std::exception_ptr unwritten_;  // why the writing task has ended
    std::string close_reason_;  // of ours
    int close_code_ = 0;
    wait_queue ended_;
    call_handle timer_;
    time_point timer_at_ = time_point::max();
    time_point deadline_ = time_point::max();  // of the close
    time_point heard_{};                       // the last byte
    time_point write_at_ = time_point::max();  // the limit of the piece that is being written
    bool is_writing_ = false;
    bool wants_close_ = false;    // close_code_ is to be sent
    bool sent_close_ = false;
    bool peer_closed_ = false;
    bool peer_began_ = false;     // to close
    bool server_ends_ = false;
    bool is_deaf_ = false;        // messages are dropped
    bool wants_ping_ = false;
    bool is_pinged_ = false;      // and has not answered
    bool is_paused_ = false;      // the reading task waits for the user
    bool is_released_ = false;
    bool is_finished_ = false;    // the transport has ended in good order
    bool is_over_ = false;
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
