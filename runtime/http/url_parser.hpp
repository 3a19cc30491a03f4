// SPDX-License-Identifier: MIT
// Takes the text of a URL apart and writes it anew, normalized. Private to url.cpp and
// url_parser.cpp.
#pragma once

#include <string>
#include <string_view>

#include <rondo/http/url.hpp>

namespace rondo {
inline namespace v0 {
namespace http {

class url_parser {
public:
    explicit url_parser(url& made) noexcept : made_(made) {}
    void parse(std::string_view text);

private:
    std::string_view take_scheme(std::string_view text);
    std::string_view take_unix(std::string_view rest);
    std::string_view take_authority(std::string_view rest);
    void take_user(std::string_view user);
    std::string_view take_host(std::string_view where);
    void take_address(std::string_view literal);
    void take_name(std::string_view name);
    void take_port(std::string_view text);
    void take_rest(std::string_view rest);
    std::uint32_t here() const noexcept { return static_cast<std::uint32_t>(made_.text_.size()); }

    url& made_;
};

/// The scheme that `text` begins with, or nothing.
std::string_view scheme_of(std::string_view text) noexcept;
/// 80 for http and ws, 443 for https and wss, otherwise 0.
std::uint16_t default_port(std::string_view scheme) noexcept;

}  // namespace http
}  // namespace v0
}  // namespace rondo
