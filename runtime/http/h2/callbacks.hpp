// SPDX-License-Identifier: MIT
// The seam between the engine and nghttp2. Only sources of this folder include it, after
// nghttp2.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "http/h2/engine.hpp"

namespace rondo {
inline namespace v0 {
namespace http {
namespace h2 {

/// The largest head that is sent.
inline constexpr std::size_t max_sent_head = std::size_t{256} * 1024;
/// CONTINUATION frames of one head that is received.
inline constexpr std::size_t max_continuations = 16;
/// The first byte of a PING that measures a round trip.
inline constexpr std::uint8_t measuring_ping = 1;

/// A session of nghttp2 whose callbacks call `owner`.
nghttp2_session* open_session(role side, engine& owner);
/// The provider of the bodies of all streams.
nghttp2_data_provider body_provider();

/// Fields as nghttp2 takes them: views, which it copies and puts in lower case.
class field_list {
public:
    field_list() = default;
    /// Of trailers.
    explicit field_list(const http::fields& all) { add_all(all); }

    void add(std::string_view name, std::string_view value);
    /// Adds them, except those of the connection and those named `except`.
    void add_all(const http::fields& all, std::string_view except = {});

    const nghttp2_nv* data() const noexcept { return large_.empty() ? small_ : large_.data(); }
    std::size_t size() const noexcept { return size_; }
    std::size_t bytes() const noexcept { return bytes_; }

private:
    static constexpr std::size_t small_size = 32;
    nghttp2_nv small_[small_size];
    std::vector<nghttp2_nv> large_;  // all of them, if they are more
    std::size_t size_ = 0;
    std::size_t bytes_ = 0;
};

}  // namespace h2
}  // namespace http
}  // namespace v0
}  // namespace rondo
