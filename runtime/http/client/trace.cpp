// SPDX-License-Identifier: MIT
// Telling a session's hook what its requests do.
#include <rondo/http/trace.hpp>

#include <exception>

#include "http/client/budget.hpp"

namespace rondo {
inline namespace v0 {

void detail::http_budget::tell_now(http::trace_point point,
                                   const http_trace_note& note) const noexcept {
    const auto hook = hook_;  // the hook may replace itself
    try {
        http::trace_event event;
        event.point = point;
        event.request = number_;
        event.time = running_loop().time();
        event.elapsed = event.time - began_;
        event.took = point == http::trace_point::end ? event.elapsed : note.took;
        event.method = method_;
        event.url = url_;
        event.status = note.status;
        event.bytes = note.bytes;
        event.reused = note.reused;
        event.text = note.text;
        try {
            (*hook)(event);
        } catch (...) {
            running_loop().call_exception_handler(
                {"the trace hook of an HTTP session threw", std::current_exception()});
        }
    } catch (...) {  // a response that is destroyed after its loop: there is no clock
    }
}

std::string_view http::text(trace_point point) noexcept {
    switch (point) {
        case trace_point::start: return "start";
        case trace_point::queued: return "queued";
        case trace_point::dns: return "dns";
        case trace_point::connect: return "connect";
        case trace_point::tls: return "tls";
        case trace_point::sent: return "sent";
        case trace_point::head: return "head";
        case trace_point::chunk: return "chunk";
        case trace_point::redirect: return "redirect";
        case trace_point::retry: return "retry";
        case trace_point::end: return "end";
        case trace_point::error: return "error";
    }
    return {};
}

}  // namespace v0
}  // namespace rondo
