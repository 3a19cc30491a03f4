// SPDX-License-Identifier: MIT
// A connection of HTTP/2 without I/O, for both sides: bytes in, events out, bytes out. It knows no
// socket, no clock and no coroutine. The pattern of use:
//
//     engine talk(role::server, options, observer);
//     for (each piece that has come) {
//         talk.receive(piece);
//         while (talk.produce(out, 64 * 1024) != 0) write(out), out.clear();
//         if (talk.is_over()) break;              // the peer broke the rules: why(); or the end
//     }
//
// Events are calls of virtual functions, of the observer for the connection and of the `stream`
// for one message. They are called by receive(), produce() and abandon() only. An event may call
// everything except these three and the engine's destructor; it may destroy its own stream.
// After calls of request(), respond(), write(), consume(), reset() … there may be bytes to
// produce: see wants_to_write().
//
// The owner makes the streams and destroys them: a stream is the base of the owner's own state.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <string>
#include <string_view>

#include <rondo/cancel.hpp>
#include <rondo/http/fields.hpp>

#include "http/h2/message.hpp"

struct nghttp2_session;

namespace rondo {
inline namespace v0 {
namespace http {
namespace h2 {

class engine;
struct callbacks;  // the functions that nghttp2 calls

/// True if the library was built with nghttp2.
bool is_available() noexcept;
/// Throws: http::error that names the package, unless is_available().
void require_available();

/// One request and its response. The order of events: on_interim (client) any number of times,
/// on_head, on_data any number of times, on_end; on_sent in between; and in the end, whatever
/// happens, on_closed once. A stream that the owner destroys before is reset with CANCEL, and gets
/// no event.
class stream {
public:
    stream(const stream&) = delete;
    stream& operator=(const stream&) = delete;
    virtual ~stream();

    /// 0 before it has begun.
    std::uint32_t id() const noexcept { return id_; }
    /// True from the begin until on_closed, or a reset() by the owner.
    bool is_open() const noexcept { return is_open_; }
    /// True if the head of our message was produced.
    bool has_begun() const noexcept { return has_begun_; }
    /// Bytes of the last write() that were not produced yet.
    std::size_t unsent() const noexcept { return unsent_.size(); }
    /// True after ask(), until on_sent.
    bool is_asking() const noexcept { return is_asking_; }
    /// True if the end of our message was produced.
    bool has_sent_end() const noexcept { return has_sent_end_; }
    /// True if the peer's message is complete.
    bool has_received_end() const noexcept { return has_received_end_; }
    /// Bytes of the body that have come.
    std::uint64_t received() const noexcept { return received_; }
    /// Bytes that on_data has given and that were not consumed.
    std::size_t unconsumed() const noexcept { return unconsumed_; }
    /// Fields after the peer's body; complete at on_end.
    const http::fields& trailers() const noexcept { return trailers_; }

protected:
    stream() = default;

    /// The head of the request or of the final response. May be moved from.
    virtual void on_head(head& come) = 0;
    /// A response of 1xx.
    virtual void on_interim(head&) {}
    /// Bytes of the body, a view of the input of receive(): copy what is needed later. The peer's
    /// window is as much smaller until engine::consume().
    virtual void on_data(std::string_view bytes) = 0;
    /// The peer's message is complete, trailers included.
    virtual void on_end() = 0;
    /// Bytes of the body were produced, all if unsent() is 0; or the end was (has_sent_end()); or
    /// the peer's windows let bytes out, which ask() has asked for.
    virtual void on_sent() {}
    /// The last event: both directions have ended, or the stream was reset by the peer or by the
    /// engine. Not called for engine::reset().
    virtual void on_closed(const closing& how) = 0;

private:
    friend class engine;
    friend struct callbacks;

    engine* engine_ = nullptr;
    std::uint32_t id_ = 0;
    bool is_open_ = false;
    bool is_head_done_ = false;  // the final head has come
    bool is_deferred_ = false;   // nghttp2 waits for bytes of the body
    bool is_asking_ = false;
    bool is_last_ = false;       // the end follows unsent_
    bool is_reset_by_peer_ = false;
    bool is_coming_ = false;     // head_ or trailers_ are
    bool is_too_large_ = false;  // what is coming
    bool has_trailers_ = false;  // to send
    bool has_begun_ = false;
    bool has_sent_end_ = false;
    bool has_received_end_ = false;
    std::size_t interim_ = 0;
    std::size_t head_bytes_ = 0;
    std::size_t head_fields_ = 0;
    std::size_t unconsumed_ = 0;
    std::uint64_t received_ = 0;
    std::uint32_t window_ = 0;
    std::uint64_t measured_from_ = 0;  // received_ when the last round trip began
    std::string_view unsent_;
    http::fields trailers_;       // that have come
    http::fields sent_trailers_;  // to send
    head head_;                   // that is coming
    std::string cookie_;          // the pieces of it
    const char* why_ = nullptr;   // the fault of the peer
    code why_code_ = code::protocol_error;
    bool is_broken_off_ = false;  // because of it
    detail::list_links<stream> of_engine_;
    detail::list_links<stream> of_told_;  // on_sent is to be called
};

/// Events of the connection.
class observer {
public:
    /// A client begins a request (server only). The stream's on_head follows when the head is
    /// complete. It belongs to the observer.
    /// Returns: null to refuse it with REFUSED_STREAM.
    virtual stream* on_stream() = 0;
    /// The peer ends the connection, and handles no stream above `last`. Those above it get
    /// on_closed with REFUSED_STREAM next: they may be sent again elsewhere.
    virtual void on_goaway(std::uint32_t last, code why, std::string_view text) = 0;
    /// The settings of the peer have come, or have changed: peer_streams().
    virtual void on_settings() {}
    /// The answer to ping().
    virtual void on_ping_answer() {}

protected:
    ~observer() = default;
};

class engine {
public:
    /// Settings, and the client's preface, are the first bytes to produce. `watcher` outlives it.
    /// Throws: http::error if nghttp2 is not built in.
    engine(h2::role side, const options& how, observer& watcher);
    engine(const engine&) = delete;
    engine& operator=(const engine&) = delete;
    /// The streams that are left are closed without an event.
    ~engine();

    // -- bytes -----------------------------------------------------------------------------------
    /// Takes bytes of the peer, all of them; ignores them after has_failed(). Call produce() next.
    /// Throws: what an event has thrown, and std::bad_alloc. The connection is then broken.
    void receive(std::string_view bytes);
    /// Appends frames to `to` until it has about `limit` bytes or there are none. If the peer has
    /// broken the rules of the connection, a GOAWAY comes first, and all streams get on_closed.
    /// Returns: the number of bytes; 0 if there is nothing to send now.
    /// Throws:  as receive().
    std::size_t produce(std::string& to, std::size_t limit);
    /// True if produce() may give something: also if the peer's windows are closed and it gives
    /// nothing.
    bool wants_to_write() const noexcept;
    /// False if receive() would ignore what comes: the peer has broken the rules, or both sides
    /// have ended.
    bool wants_to_read() const noexcept;
    /// True if nothing is to be received any more, and nothing to be sent: close the connection.
    bool is_over() const noexcept;
    /// True if the peer has broken the rules of the connection. Known after produce().
    bool has_failed() const noexcept { return has_failed_; }
    /// Its fault: "DATA: stream_id == 0 (PROTOCOL_ERROR)".
    const std::string& why() const noexcept { return why_; }
    /// The code of the GOAWAY that was sent because of it.
    code why_code() const noexcept { return why_code_; }

    // -- client ----------------------------------------------------------------------------------
    /// True if a request can begin now: the peer's limit is not reached, no GOAWAY came or went.
    bool can_request() const noexcept;
    /// Begins a request on `on`, which is new. Fields of the connection (connection, host,
    /// transfer-encoding …) and content-length are left out, and names are sent in lower case. A
    /// body is given by write(); before a call of produce() is best, since both then travel
    /// together.
    void request(stream& on, const request_line& line, const http::fields& headers, bool has_body);

    // -- server ----------------------------------------------------------------------------------
    /// Sends the final head. `has_body`: write() follows; otherwise the message is complete.
    void respond(stream& on, int status, const http::fields& headers, bool has_body);
    /// Sends a response of 1xx, 100 for instance.
    void respond_interim(stream& on, int status, const http::fields& headers = {});
    /// Says that no further streams are taken, without an end to those on their way: the first step
    /// of a graceful end. Follow it by ping(), and on its answer by end().
    void announce_end();

    // -- both ------------------------------------------------------------------------------------
    /// Gives bytes of the body; unsent() must be 0. They are not copied: they must stay until
    /// unsent() is 0 or the stream is closed, reset or destroyed. `is_last`: the message ends
    /// after them. Of a stream that is not open nothing is sent.
    void write(stream& on, std::string_view bytes, bool is_last = false);
    /// Calls on_sent as soon as the peer's windows let bytes of the body out. unsent() must be 0.
    void ask(stream& on);
    /// How many bytes of its body the window of the stream lets out; 0 if that of the connection
    /// is closed.
    std::size_t room(const stream& on) const noexcept;
    /// Forgets bytes of write() that were not produced. If there are some, the message has no end:
    /// reset it when the rest of the stream is not needed either.
    void take_back(stream& on) noexcept;
    /// Ends our message, after what was given, with trailers if there are some.
    void finish(stream& on, const http::fields& trailers = {});
    /// Opens the peer's windows again by `count` bytes that on_data gave. Also after on_closed;
    /// bytes that are not consumed when the stream is destroyed are so by that.
    void consume(stream& on, std::size_t count);
    /// True if the peer lets nothing of the stream's body out, whatever the connection's window is.
    bool is_shut(const stream& on) const noexcept;
    /// Ends the stream in both directions. It gets no event any more, and is_open() is false.
    void reset(stream& on, code why);
    /// Asks the peer for an answer: observer::on_ping_answer.
    void ping();
    /// Says that no further streams are taken, and which was the last. Those that are open go on.
    void end(code why = code::no_error, std::string_view text = {});
    /// The connection is lost: closes all streams with on_closed(how).
    void abandon(const closing& how);
    /// Gives the peer its budgets of resets and of idle frames again. Call it every 10 s or so,
    /// while something comes.
    void refill() noexcept;

    /// Streams that the peer lets us have open; 100 until its settings have come.
    std::uint32_t peer_streams() const noexcept;
    /// Streams that are open.
    std::size_t streams() const noexcept { return open_; }
    bool has_settings() const noexcept { return has_settings_; }
    /// True if the peer has sent a GOAWAY.
    bool has_goaway() const noexcept { return has_goaway_; }
    /// True if we have sent one, or have to.
    bool is_ending() const noexcept { return is_ending_; }

private:
    friend class stream;
    friend struct callbacks;

    void begin(stream& by, std::int32_t id);
    void detach(stream& from) noexcept;
    void break_off(stream& from, code why, const char* text);
    void note_failure(code why, std::string reason);
    void check(int status);
    void close_failed();
    void tell_sent();
    void resume(stream& on);
    void measure(stream& by) noexcept;
    void take_measure();

    nghttp2_session* session_ = nullptr;
    observer& observer_;
    options options_;
    h2::role role_;
    std::string* out_ = nullptr;  // of produce(), while it runs
    std::size_t out_limit_ = 0;   // the size of *out_ at which no further frame is added
    detail::intrusive_list<stream, &stream::of_engine_> all_;
    detail::intrusive_list<stream, &stream::of_told_> told_;
    std::exception_ptr thrown_;          // by an event
    const char* over_budget_ = nullptr;  // a budget is spent
    const char* invalid_ = nullptr;      // about the frame that was refused last
    std::string why_;
    code why_code_ = code::no_error;
    code end_code_ = code::no_error;  // of end()
    std::size_t open_ = 0;
    std::size_t continuations_ = 0;  // of the head that is coming
    std::uint32_t resets_left_ = 0;
    std::uint32_t idle_left_ = 0;
    std::uint32_t pushes_left_ = 100;  // of the connection
    std::uint32_t measured_ = 0;  // id of the stream whose window is measured; 0: none
    bool has_settings_ = false;
    bool has_goaway_ = false;
    bool is_ending_ = false;
    bool has_failed_ = false;
};

}  // namespace h2
}  // namespace http
}  // namespace v0
}  // namespace rondo
