// SPDX-License-Identifier: MIT
// The functions that nghttp2 calls for every frame: they tell the engine of it. No exception may
// pass through the C code of nghttp2: it is kept, and thrown again by the engine.
#ifdef RONDO_WITH_NGHTTP2
#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <charconv>
#include <memory>
#include <utility>

#include "http/ascii.hpp"
#include "http/field_writer.hpp"
#include "http/h2/callbacks.hpp"

// Releases with the correction for CVE-2024-28182 have it.
extern "C" __attribute__((weak)) void nghttp2_option_set_max_continuations(nghttp2_option* of,
                                                                           std::size_t count);

namespace rondo {
inline namespace v0 {
namespace http {
namespace h2 {

namespace {

constexpr int stop = NGHTTP2_ERR_CALLBACK_FAILURE;

engine& engine_of(void* user) { return *static_cast<engine*>(user); }

stream* stream_of(nghttp2_session* session, std::int32_t id) {
    return static_cast<stream*>(nghttp2_session_get_stream_user_data(session, id));
}

std::string_view view(nghttp2_rcbuf* of) {
    const nghttp2_vec bytes = nghttp2_rcbuf_get_buf(of);
    return {reinterpret_cast<const char*>(bytes.base), bytes.len};
}

/// Keeps what `call` throws.
template <class F>
int guarded(std::exception_ptr& thrown, F call) {
    try {
        return call();
    } catch (...) {
        thrown = std::current_exception();
        return stop;
    }
}

const char* reason_of(int library_error) {
    switch (library_error) {
        case NGHTTP2_ERR_HTTP_HEADER:
            return "a header field is malformed or forbidden";
        case NGHTTP2_ERR_HTTP_MESSAGING:
            return "the message is malformed";
        case NGHTTP2_ERR_FLOW_CONTROL:
            return "more bytes came than the window allows";
        case NGHTTP2_ERR_STREAM_CLOSED:
            return "frames came after the end";
        default:
            return nghttp2_strerror(library_error);
    }
}

/// Takes one from a budget. Returns: false if there was none.
bool spend(std::uint32_t& budget) {
    if (budget == 0) return false;
    --budget;
    return true;
}

}  // namespace

struct callbacks {
    // -- frames ----------------------------------------------------------------------------------
    static int on_begin_frame(nghttp2_session*, const nghttp2_frame_hd* frame, void* user) {
        engine& self = engine_of(user);
        const bool is_ack = (frame->flags & NGHTTP2_FLAG_ACK) != 0;
        const char* exceeded = nullptr;
        switch (frame->type) {
            case NGHTTP2_HEADERS:
                self.continuations_ = 0;
                break;
            case NGHTTP2_CONTINUATION:
                if (++self.continuations_ > max_continuations)
                    exceeded = "too many CONTINUATION frames of one head";
                break;
            case NGHTTP2_RST_STREAM:
                if (!spend(self.resets_left_)) exceeded = too_many_resets;
                break;
            case NGHTTP2_PING:
            case NGHTTP2_SETTINGS:
                if (!is_ack && !spend(self.idle_left_)) exceeded = too_many_idle_frames;
                break;
            case NGHTTP2_PRIORITY:
                if (!spend(self.idle_left_)) exceeded = too_many_idle_frames;
                break;
            case NGHTTP2_DATA:
                if (frame->length == 0 && (frame->flags & NGHTTP2_FLAG_END_STREAM) == 0 &&
                    !spend(self.idle_left_))
                    exceeded = too_many_idle_frames;
                break;
            default:
                break;
        }
        if (exceeded == nullptr) return 0;
        self.over_budget_ = exceeded;
        return stop;
    }

    static int on_frame(nghttp2_session* session, const nghttp2_frame* frame, void* user) {
        engine& self = engine_of(user);
        return guarded(self.thrown_, [&] {
            switch (frame->hd.type) {
                case NGHTTP2_HEADERS:
                case NGHTTP2_DATA:
                    if (stream* const on = stream_of(session, frame->hd.stream_id))
                        end_frame(self, session, *on, frame->hd);
                    break;
                case NGHTTP2_RST_STREAM:
                    if (stream* const on = stream_of(session, frame->hd.stream_id))
                        on->is_reset_by_peer_ = true;
                    break;
                case NGHTTP2_SETTINGS:
                    if ((frame->hd.flags & NGHTTP2_FLAG_ACK) != 0) break;
                    self.has_settings_ = true;
                    self.observer_.on_settings();
                    break;
                case NGHTTP2_PING:
                    if ((frame->hd.flags & NGHTTP2_FLAG_ACK) == 0) break;
                    if (frame->ping.opaque_data[0] == measuring_ping)
                        self.take_measure();
                    else
                        self.observer_.on_ping_answer();
                    break;
                case NGHTTP2_GOAWAY: {
                    self.has_goaway_ = true;
                    const auto& away = frame->goaway;
                    self.observer_.on_goaway(
                        static_cast<std::uint32_t>(away.last_stream_id),
                        static_cast<code>(away.error_code),
                        {reinterpret_cast<const char*>(away.opaque_data), away.opaque_data_len});
                    break;
                }
                default:
                    break;
            }
            return 0;
        });
    }

    /// A HEADERS or DATA frame is complete.
    static void end_frame(engine& self, nghttp2_session* session, stream& on,
                          const nghttp2_frame_hd& frame) {
        const bool is_end = (frame.flags & NGHTTP2_FLAG_END_STREAM) != 0;
        const std::int32_t id = frame.stream_id;
        if (frame.type == NGHTTP2_HEADERS && std::exchange(on.is_coming_, false)) {
            if (!complete_head(self, on, is_end)) return;
            if (stream_of(session, id) != &on) return;  // destroyed, or reset
        }
        if (!is_end) return;
        on.has_received_end_ = true;
        on.on_end();
    }

    /// Returns: false if the stream was broken off.
    static bool complete_head(engine& self, stream& on, bool is_end) {
        if (on.is_head_done_) {
            if (!on.is_too_large_) return true;
            self.break_off(on, code::enhance_your_calm, "its trailers are too large");
            return false;
        }
        head come = std::exchange(on.head_, head());
        if (!on.cookie_.empty()) field_writer(come.headers).add("cookie", on.cookie_);
        on.cookie_ = std::string();
        come.is_too_large = std::exchange(on.is_too_large_, false);
        come.is_end = is_end;
        on.head_bytes_ = on.head_fields_ = 0;
        if (self.role_ == role::client && come.status < 200) {
            if (++on.interim_ > self.options_.interim) {
                self.break_off(on, code::enhance_your_calm, "too many interim responses came");
                return false;
            }
            on.on_interim(come);
            return true;
        }
        if (self.role_ == role::server && !set_host(come)) {
            self.break_off(on, code::protocol_error, "host differs from :authority");
            return false;
        }
        on.is_head_done_ = true;
        on.on_head(come);
        return true;
    }

    static bool set_host(head& of) {
        const auto host = of.headers.get("host");
        if (of.authority.empty()) {
            of.authority = host.value_or("");
            return true;
        }
        if (host) return same_word(*host, of.authority);
        field_writer(of.headers).add("host", of.authority);
        return true;
    }

    // -- heads -----------------------------------------------------------------------------------
    static int on_begin_head(nghttp2_session* session, const nghttp2_frame* frame, void* user) {
        engine& self = engine_of(user);
        if (frame->hd.type != NGHTTP2_HEADERS) return refuse_push(self);
        return guarded(self.thrown_, [&] {
            if (frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
                stream* const made = self.observer_.on_stream();
                if (made == nullptr) {
                    nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
                                              NGHTTP2_REFUSED_STREAM);
                    return int{NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE};
                }
                self.begin(*made, frame->hd.stream_id);
            }
            if (stream* const on = stream_of(session, frame->hd.stream_id)) on->is_coming_ = true;
            return 0;
        });
    }

    /// A server that has not seen our settings yet may push.
    static int refuse_push(engine& self) {
        if (spend(self.pushes_left_)) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
        self.over_budget_ = too_many_resets;
        return stop;
    }

    static int on_field(nghttp2_session* session, const nghttp2_frame* frame, nghttp2_rcbuf* name,
                        nghttp2_rcbuf* value, std::uint8_t, void* user) {
        engine& self = engine_of(user);
        stream* const on = stream_of(session, frame->hd.stream_id);
        if (on == nullptr) return 0;
        return guarded(self.thrown_, [&] {
            take_field(self, *on, view(name), view(value));
            // A head that is so large is no oversight: its unpacking costs more than its bytes.
            if (self.role_ == role::client || on->head_bytes_ <= 2 * self.options_.head_bytes)
                return 0;
            on->why_ = "the head is far too large";
            return int{NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE};
        });
    }

    static void take_field(engine& self, stream& on, std::string_view name,
                           std::string_view value) {
        on.head_bytes_ += name.size() + value.size() + 32;  // as SETTINGS_MAX_HEADER_LIST_SIZE does
        if (on.is_too_large_) return;
        if (name.front() != ':') ++on.head_fields_;
        if (on.head_bytes_ > self.options_.head_bytes || on.head_fields_ > self.options_.fields) {
            on.is_too_large_ = true;
            return;
        }
        if (on.is_head_done_) {
            field_writer(on.trailers_).add(name, value);
        } else if (name.front() == ':') {
            take_pseudo(on.head_, name, value);
        } else if (name == "cookie" && self.role_ == role::server) {
            if (!on.cookie_.empty()) on.cookie_ += "; ";
            on.cookie_ += value;
        } else {
            if (name == "content-length") take_length(on.head_, value);
            field_writer(on.head_.headers).add(name, value);
        }
    }

    static void take_pseudo(head& of, std::string_view name, std::string_view value) {
        if (name == ":status")
            std::from_chars(value.data(), value.data() + value.size(), of.status);
        else if (name == ":method")
            of.method = value;
        else if (name == ":scheme")
            of.scheme = value;
        else if (name == ":authority")
            of.authority = value;
        else if (name == ":path")
            of.path = value;
    }

    static void take_length(head& of, std::string_view value) {
        std::uint64_t length = 0;
        const auto parsed = std::from_chars(value.data(), value.data() + value.size(), length);
        if (parsed.ec == std::errc()) of.content_length = length;
    }

    /// A field with forbidden characters. nghttp2 would leave it out; a message with a part of its
    /// fields is worse than none.
    static int on_invalid_field(nghttp2_session*, const nghttp2_frame*, nghttp2_rcbuf*,
                                nghttp2_rcbuf*, std::uint8_t, void*) {
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }

    // -- body ------------------------------------------------------------------------------------
    static int on_data(nghttp2_session* session, std::uint8_t, std::int32_t id,
                       const std::uint8_t* bytes, std::size_t size, void* user) {
        engine& self = engine_of(user);
        stream* const on = stream_of(session, id);
        if (on == nullptr) {  // reset by us, on its way
            nghttp2_session_consume_connection(session, size);
            return 0;
        }
        return guarded(self.thrown_, [&] {
            on->received_ += size;
            on->unconsumed_ += size;
            self.measure(*on);
            on->on_data({reinterpret_cast<const char*>(bytes), size});
            return 0;
        });
    }

    static ssize_t read_body(nghttp2_session* session, std::int32_t id, std::uint8_t*,
                             std::size_t length, std::uint32_t* flags, nghttp2_data_source*,
                             void* user) {
        engine& self = engine_of(user);
        stream* const on = stream_of(session, id);
        if (on == nullptr) return NGHTTP2_ERR_DEFERRED;  // it is reset next
        // nghttp2 goes from one frame of data to the next without returning. A frame must not be
        // begun and left for later: take_back() may come in between.
        if (self.out_->size() >= self.out_limit_) return NGHTTP2_ERR_PAUSE;
        const std::size_t size = std::min(length, on->unsent_.size());
        if (size == 0 && !on->is_last_) {
            on->is_deferred_ = true;
            if (std::exchange(on->is_asking_, false)) note_sent(self, *on);
            return NGHTTP2_ERR_DEFERRED;
        }
        *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
        if (on->is_last_ && size == on->unsent_.size()) {
            *flags |= NGHTTP2_DATA_FLAG_EOF;
            if (on->has_trailers_) {
                *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
                if (guarded(self.thrown_, [&] { return submit_trailers(session, *on); }) != 0)
                    return stop;
            }
        }
        return static_cast<ssize_t>(size);
    }

    static int submit_trailers(nghttp2_session* session, stream& on) {
        field_list list(on.sent_trailers_);
        return nghttp2_submit_trailer(session, static_cast<std::int32_t>(on.id_), list.data(),
                                      list.size());
    }

    static int send_data(nghttp2_session* session, nghttp2_frame* frame,
                         const std::uint8_t* frame_head, std::size_t length, nghttp2_data_source*,
                         void* user) {
        engine& self = engine_of(user);
        stream* const on = stream_of(session, frame->hd.stream_id);
        if (on == nullptr) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
        return guarded(self.thrown_, [&] {
            self.out_->append(reinterpret_cast<const char*>(frame_head), frame_head_bytes);
            self.out_->append(on->unsent_.substr(0, length));
            on->unsent_.remove_prefix(length);
            note_sent(self, *on);
            return 0;
        });
    }

    static void note_sent(engine& self, stream& on) noexcept {
        if (!on.of_told_.linked()) self.told_.append(on);
    }

    static int on_frame_sent(nghttp2_session* session, const nghttp2_frame* frame, void* user) {
        engine& self = engine_of(user);
        if (frame->hd.type == NGHTTP2_GOAWAY)
            return guarded(self.thrown_, [&] {
                note_goaway(self, frame->goaway);
                return 0;
            });
        if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) return 0;
        stream* const on = stream_of(session, frame->hd.stream_id);
        if (on == nullptr) return 0;
        on->has_begun_ = true;
        if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0) return 0;
        on->has_sent_end_ = true;
        note_sent(self, *on);
        return 0;
    }

    /// A GOAWAY that the owner did not ask for is nghttp2's own, about a fault of the peer.
    static void note_goaway(engine& self, const nghttp2_goaway& sent) {
        const code why = static_cast<code>(sent.error_code);
        if (self.has_failed_ || why == code::no_error) return;
        if (self.is_ending_ && why == self.end_code_) return;
        std::string reason(reinterpret_cast<const char*>(sent.opaque_data), sent.opaque_data_len);
        if (reason.empty() && self.invalid_ != nullptr) reason = self.invalid_;
        self.note_failure(why, std::move(reason));
    }

    // -- ends ------------------------------------------------------------------------------------
    static int on_invalid_frame(nghttp2_session* session, const nghttp2_frame* frame, int error,
                                void* user) {
        engine& self = engine_of(user);
        self.invalid_ = reason_of(error);
        stream* const on = stream_of(session, frame->hd.stream_id);
        if (on != nullptr && on->why_ == nullptr) on->why_ = self.invalid_;
        if (on != nullptr || spend(self.resets_left_)) return 0;
        self.over_budget_ = too_many_resets;
        return stop;
    }

    static int on_close(nghttp2_session* session, std::int32_t id, std::uint32_t error,
                        void* user) {
        engine& self = engine_of(user);
        stream* const on = stream_of(session, id);
        if (on == nullptr) return 0;
        return guarded(self.thrown_,
                       [&] { return end_stream(self, session, *on, static_cast<code>(error)); });
    }

    static int end_stream(engine& self, nghttp2_session* session, stream& on, code why) {
        const auto id = static_cast<std::int32_t>(on.id_);
        if (on.of_told_.linked()) {  // in the order in which things happened
            self.told_.remove(on);
            on.on_sent();
            if (stream_of(session, id) != &on) return 0;
        }
        if (on.is_broken_off_) why = on.why_code_;  // though it has ended meanwhile
        closing how;
        how.code = why;
        how.is_by_peer = on.is_reset_by_peer_ || (self.has_goaway_ && why == code::refused_stream);
        const bool is_fault = why != code::no_error && !how.is_by_peer;
        if (is_fault) how.why = on.why_ != nullptr ? on.why_ : "the message is malformed";
        on.is_open_ = false;
        on.unsent_ = {};
        --self.open_;
        on.on_closed(how);
        if (!is_fault || spend(self.resets_left_)) return 0;
        self.over_budget_ = too_many_resets;
        return stop;
    }

    static constexpr const char* too_many_resets = "too many streams were reset";
    static constexpr const char* too_many_idle_frames = "too many frames carried nothing";
    static constexpr std::size_t frame_head_bytes = 9;
};

namespace {

struct freed {
    void operator()(nghttp2_session_callbacks* of) const { nghttp2_session_callbacks_del(of); }
    void operator()(nghttp2_option* of) const { nghttp2_option_del(of); }
};

std::unique_ptr<nghttp2_session_callbacks, freed> make_callbacks() {
    nghttp2_session_callbacks* made = nullptr;
    if (nghttp2_session_callbacks_new(&made) != 0) throw std::bad_alloc();
    nghttp2_session_callbacks_set_on_begin_frame_callback(made, callbacks::on_begin_frame);
    nghttp2_session_callbacks_set_on_frame_recv_callback(made, callbacks::on_frame);
    nghttp2_session_callbacks_set_on_begin_headers_callback(made, callbacks::on_begin_head);
    nghttp2_session_callbacks_set_on_header_callback2(made, callbacks::on_field);
    nghttp2_session_callbacks_set_on_invalid_header_callback2(made, callbacks::on_invalid_field);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(made, callbacks::on_data);
    nghttp2_session_callbacks_set_send_data_callback(made, callbacks::send_data);
    nghttp2_session_callbacks_set_on_frame_send_callback(made, callbacks::on_frame_sent);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(made, callbacks::on_invalid_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(made, callbacks::on_close);
    return std::unique_ptr<nghttp2_session_callbacks, freed>(made);
}

std::unique_ptr<nghttp2_option, freed> make_options() {
    nghttp2_option* made = nullptr;
    if (nghttp2_option_new(&made) != 0) throw std::bad_alloc();
    nghttp2_option_set_no_auto_window_update(made, 1);
    nghttp2_option_set_no_closed_streams(made, 1);
    nghttp2_option_set_max_send_header_block_length(made, max_sent_head);
    // It counts a frame again with each piece of its head, of which there may be nine.
    if (nghttp2_option_set_max_continuations != nullptr)
        nghttp2_option_set_max_continuations(made, std::size_t{9} * (max_continuations + 1));
    return std::unique_ptr<nghttp2_option, freed>(made);
}

}  // namespace

nghttp2_session* open_session(role side, engine& owner) {
    static const auto functions = make_callbacks();
    static const auto how = make_options();
    nghttp2_session* made = nullptr;
    const auto open =
        side == role::client ? nghttp2_session_client_new2 : nghttp2_session_server_new2;
    if (open(&made, functions.get(), &owner, how.get()) != 0) throw std::bad_alloc();
    return made;
}

nghttp2_data_provider body_provider() {
    nghttp2_data_provider provider{};
    provider.read_callback = callbacks::read_body;
    return provider;
}

}  // namespace h2
}  // namespace http
}  // namespace v0
}  // namespace rondo
#endif
