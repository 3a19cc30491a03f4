// SPDX-License-Identifier: MIT
// A connection of the client's that speaks HTTP/2: the engine, the stream of bytes, and two tasks
// that move bytes between them. One reads, as long as the connection lives. The other writes, as
// long as the engine has something.
//
// Exchanges never read or write themselves. So a cancelled request cannot break a write that has
// bytes of others in it.
#pragma once

#include <cstddef>
#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <rondo/future.hpp>
#include <rondo/loop.hpp>
#include <rondo/task.hpp>
#include <rondo/wait_queue.hpp>

#include "http/client/connection.hpp"
#include "http/client/exchange.hpp"
#include "http/h2/engine.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

class h2_connection final : public http_shared_connection,
                            private http::h2::observer,
                            public std::enable_shared_from_this<h2_connection> {
public:
    h2_connection(http_connection::any_stream stream, const exchange_options& options);
    /// Begins to read, and sends the preface.
    void start();

    // -- http_shared_connection ------------------------------------------------------------------
    std::size_t room() const noexcept override;
    task<bool> is_alive() override;
    task<> close() override;
    void abort() noexcept override;

    // -- for exchanges ---------------------------------------------------------------------------
    http::h2::engine& engine() noexcept { return engine_; }
    /// False if a request that begins now would get no answer.
    bool is_open() const noexcept { return is_reading_ && !is_retired_; }
    /// Sends what the engine has, in a task of its own. Call it after each call of the engine that
    /// may have made something.
    void send() noexcept;
    /// Buffers for pieces of bodies, which streams use in turn. A buffer that grows with what has
    /// come would take new memory again and again.
    static constexpr std::size_t piece_bytes = std::size_t{64} * 1024;
    std::string take_piece();
    void give_piece(std::string piece) noexcept;
    /// Frees them, if no stream is open.
    void forget_pieces() noexcept {
        if (engine_.streams() == 0) pieces_ = {};
    }
    /// True after the head of a response to any request.
    bool has_answered = false;
    /// Why the connection ended, if it was not the peer's fault in HTTP/2: an error of the stream.
    const std::exception_ptr& lost() const noexcept { return lost_; }

private:
    static task<> read_all(std::shared_ptr<h2_connection> self);
    static task<> write_all(std::shared_ptr<h2_connection> self);
    task<> read_pieces();
    task<> write_pieces();
    buffer_view room_for_bytes();
    void take(std::string_view bytes);
    void end_reading() noexcept;
    void read_last_words() noexcept;
    void lose(std::exception_ptr why) noexcept;
    task<> wait_written();
    task<> wait_ended();
    task<> wait_for_bytes();

    http::h2::stream* on_stream() override { return nullptr; }  // servers begin none
    void on_goaway(std::uint32_t last, http::h2::code why, std::string_view text) override;
    void on_settings() override { tell_room(); }

    http_connection stream_;
    http::h2::engine engine_;
    future<> reading_;
    std::exception_ptr lost_;
    std::unique_ptr<char[]> buffer_;
    std::size_t buffer_size_ = 0;
    bool was_full_ = false;
    std::string out_;
    std::vector<std::string> pieces_;
    time_point heard_at_;     // when bytes came last
    time_point refilled_at_;  // the peer's budgets
    time_point writing_since_;
    duration write_limit_;
    wait_queue written_;
    wait_queue ended_;
    wait_queue heard_;
    bool is_writing_ = false;
    bool is_reading_ = false;  // or is about to begin
    bool has_begun_ = false;   // to read
    bool must_end_ = false;    // the reader
    bool is_cut_ = false;      // a write has failed: nothing more is sent
    call_handle last_words_;   // the end of the wait for them, after that
    bool is_retired_ = false;  // no further requests
    bool is_closing_ = false;  // close() is at work
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
