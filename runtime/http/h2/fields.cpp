// SPDX-License-Identifier: MIT
// Fields to send.
#ifdef RONDO_WITH_NGHTTP2
#include <nghttp2/nghttp2.h>

#include "http/h2/callbacks.hpp"

namespace rondo {
inline namespace v0 {
namespace http {
namespace h2 {

namespace {

/// Fields of a connection of HTTP/1.1, which HTTP/2 forbids (RFC 9113, section 8.2.2); and Host,
/// which :authority replaces.
bool is_of_connection(std::string_view name, std::string_view value) noexcept {
    switch (name.size()) {
        case 2:
            return same_word(name, "te") && !same_word(value, "trailers");
        case 4:
            return same_word(name, "host");
        case 7:
            return same_word(name, "upgrade");
        case 10:
            return same_word(name, "connection") || same_word(name, "keep-alive");
        case 14:
            return same_word(name, "http2-settings");
        case 16:
            return same_word(name, "proxy-connection");
        case 17:
            return same_word(name, "transfer-encoding");
        default:
            return false;
    }
}

// nghttp2 takes memory that it does not change as if it did.
std::uint8_t* bytes_of(std::string_view text) noexcept {
    return reinterpret_cast<std::uint8_t*>(const_cast<char*>(text.data()));
}

}  // namespace

void field_list::add(std::string_view name, std::string_view value) {
    const nghttp2_nv made{bytes_of(name), bytes_of(value), name.size(), value.size(),
                          NGHTTP2_NV_FLAG_NONE};
    bytes_ += name.size() + value.size();
    if (size_ < small_size) {
        small_[size_++] = made;
        return;
    }
    if (large_.empty()) large_.assign(small_, small_ + small_size);
    large_.push_back(made);
    ++size_;
}

void field_list::add_all(const http::fields& all, std::string_view except) {
    for (const auto& [name, value] : all)
        if (!is_of_connection(name, value) && !same_word(name, except)) add(name, value);
}

}  // namespace h2
}  // namespace http
}  // namespace v0
}  // namespace rondo
#endif
