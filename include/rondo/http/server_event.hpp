// SPDX-License-Identifier: MIT
// Server-sent events, as `events()` of a response gives them.
#pragma once

#include <string>

#include <rondo/config.hpp>

namespace rondo {
inline namespace v0 {
namespace http {

/// An event of a stream text/event-stream.
/// See: https://html.spec.whatwg.org/multipage/server-sent-events.html
struct server_event {
    server_event() = default;  // so it is no aggregate, which g++ 12 destroys twice in an await

    std::string type = "message";
    std::string data;  // lines are joined by '\n'
    std::string id;    // the last id that the stream has named, also before this event
};

}  // namespace http
}  // namespace v0
}  // namespace rondo
