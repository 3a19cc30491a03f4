// SPDX-License-Identifier: MIT
// A connection of HTTP/2: one task feeds the engine with what comes, one writes what it gives, and
// each stream is a task of its own below the same scope.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <rondo/wait_queue.hpp>

#include "http/h2/engine.hpp"
#include "http/server/clock.hpp"
#include "http/server/connection.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

class h2_server_stream;

class h2_server_connection final : public http_speaker, http::h2::observer {
public:
    explicit h2_server_connection(http_link& link);
    /// Its tasks, in the link's scope, have ended.
    ~h2_server_connection() override;

    /// Serves it until it ends. `first`: bytes that were taken from the input already.
    /// Throws: errors of the server's own, and of the stream.
    task<> run(std::string_view first);

    // -- http_speaker
    void begin_end() noexcept override;
    void cut_off() noexcept override { leave(); }
    void time_is_up() noexcept override;
    void peer_has_ended() noexcept override;
    bool is_gone() const noexcept override { return is_gone_; }
    void finish() noexcept override;

    // -- for its streams
    http_server& server() noexcept { return server_; }
    http_link& link() noexcept { return link_; }
    http::h2::engine& engine() noexcept { return engine_; }
    /// Writes what the engine has, after the tasks that are ready have added theirs.
    void poke() noexcept;
    /// Starts the task of a stream whose head has come.
    future<void> start(h2_server_stream& stream);
    /// Called by the destructor of a stream. `had_head`: its task was started.
    void forget(bool had_head) noexcept;
    /// Bytes of bodies that it has sent, and that a stream adds.
    std::uint64_t sent() const noexcept { return sent_; }
    void add_sent(std::size_t bytes) noexcept { sent_ += bytes; }
    /// One stream at a time has a piece of a file in memory. The others wait in `files`.
    bool has_file = false;
    wait_queue files;
    /// After a reply that asks for it: takes no further requests.
    void end_soon();

private:
    static constexpr std::size_t batch_bytes = std::size_t{64} * 1024;
    static constexpr duration refill_after = std::chrono::seconds(10);
    static constexpr duration ping_time = std::chrono::seconds(1);

    // -- observer
    http::h2::stream* on_stream() override;
    void on_goaway(std::uint32_t, http::h2::code, std::string_view) override {}
    void on_ping_answer() override;

    task<> read_frames(std::string_view first);
    task<> write_frames();
    task<> write_batches();
    task<> write(std::string_view bytes);
    task<> say_goodbye();
    void take(std::string_view bytes);
    void refuse_further();
    void choose_limit() noexcept;
    void stop_reading() noexcept;
    void leave() noexcept;

    http_server& server_;
    http_link& link_;
    http_clock write_clock_;  // for the peer to take bytes; the link's has all other limits
    http::h2::engine engine_;
    wait_queue poked_;    // the task that writes, while there is nothing to write
    wait_queue written_;  // tasks that wait until there is nothing to write
    wait_queue emptied_;  // the task that reads, after the peer's end
    std::uint64_t sent_ = 0;
    std::size_t streams_ = 0;
    std::size_t heads_ = 0;  // streams whose head has not come
    time_point refilled_;
    bool is_poked_ = false;
    bool is_written_ = true;   // there is nothing to write
    bool is_leaving_ = false;  // no further bytes are read
    bool is_closing_ = false;  // it ends with its last stream
    bool is_gone_ = false;     // the client is
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
