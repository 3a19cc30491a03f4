// SPDX-License-Identifier: MIT
// Names of the codes, and the library without nghttp2.
#include <rondo/http/error.hpp>

#include "http/h2/engine.hpp"

namespace rondo {
inline namespace v0 {
namespace http {
namespace h2 {

std::string text(code which) {
    switch (which) {
        case code::no_error:
            return "NO_ERROR";
        case code::protocol_error:
            return "PROTOCOL_ERROR";
        case code::internal_error:
            return "INTERNAL_ERROR";
        case code::flow_control_error:
            return "FLOW_CONTROL_ERROR";
        case code::settings_timeout:
            return "SETTINGS_TIMEOUT";
        case code::stream_closed:
            return "STREAM_CLOSED";
        case code::frame_size_error:
            return "FRAME_SIZE_ERROR";
        case code::refused_stream:
            return "REFUSED_STREAM";
        case code::cancel:
            return "CANCEL";
        case code::compression_error:
            return "COMPRESSION_ERROR";
        case code::connect_error:
            return "CONNECT_ERROR";
        case code::enhance_your_calm:
            return "ENHANCE_YOUR_CALM";
        case code::inadequate_security:
            return "INADEQUATE_SECURITY";
        case code::http_1_1_required:
            return "HTTP_1_1_REQUIRED";
    }
    return "error " + std::to_string(static_cast<std::uint32_t>(which));
}

bool is_available() noexcept {
#ifdef RONDO_WITH_NGHTTP2
    return true;
#else
    return false;
#endif
}

void require_available() {
    if (is_available()) return;
    throw error(
        "librondo-http was built without HTTP/2: install libnghttp2-dev and build it again, "
        "without -Dnghttp2=disabled");
}

#ifndef RONDO_WITH_NGHTTP2

// Only the constructor can be called: without an engine there is no stream that is open.
engine::engine(h2::role side, const options& how, observer& watcher)
    : observer_(watcher), options_(how), role_(side) {
    require_available();
}
engine::~engine() = default;
stream::~stream() = default;
void engine::receive(std::string_view) {}
std::size_t engine::produce(std::string&, std::size_t) { return 0; }
bool engine::wants_to_write() const noexcept { return false; }
bool engine::wants_to_read() const noexcept { return false; }
bool engine::is_over() const noexcept { return true; }
bool engine::can_request() const noexcept { return false; }
void engine::request(stream&, const request_line&, const http::fields&, bool) {}
void engine::respond(stream&, int, const http::fields&, bool) {}
void engine::respond_interim(stream&, int, const http::fields&) {}
void engine::announce_end() {}
void engine::write(stream&, std::string_view, bool) {}
void engine::take_back(stream&) noexcept {}
void engine::finish(stream&, const http::fields&) {}
void engine::consume(stream&, std::size_t) {}
void engine::ask(stream&) {}
std::size_t engine::room(const stream&) const noexcept { return 0; }
bool engine::is_shut(const stream&) const noexcept { return true; }
void engine::reset(stream&, code) {}
void engine::ping() {}
void engine::end(code, std::string_view) {}
void engine::abandon(const closing&) {}
void engine::refill() noexcept {}
std::uint32_t engine::peer_streams() const noexcept { return 0; }

#endif

}  // namespace h2
}  // namespace http
}  // namespace v0
}  // namespace rondo
