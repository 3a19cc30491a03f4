// SPDX-License-Identifier: MIT
// Requests as handlers see them.
#include <rondo/http/request.hpp>

#include <algorithm>
#include <cstring>

#include "http/ascii.hpp"
#include "http/charset.hpp"
#include "http/h1/encoder.hpp"
#include "http/server/exchange.hpp"
#include "http/server/server.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

void http_server_request::begin(std::string_view method_of_it, std::string_view target_of_it) {
    method = method_of_it;
    target = target_of_it;
    // "http://host/path" means "/path": a server must take it (RFC 9112, section 3.2.2). Handlers
    // never see the host: a proxy that passes the target on would ask any host for the client.
    std::string_view rest = target;
    if (const auto scheme = rest.find("://"); !rest.starts_with('/') && scheme != rest.npos) {
        rest.remove_prefix(scheme + 3);
        const auto end = rest.find_first_of("/?");
        target = rest = end == rest.npos ? "/" : rest.substr(end);
    }
    const auto mark = std::min(rest.find('?'), rest.size());
    path = mark == 0 && !rest.empty() ? "/" : rest.substr(0, mark);  // of "http://host?query"
    query_text = mark == rest.size() ? std::string_view() : rest.substr(mark + 1);
    parameter_count = mounted_at = 0;
    query.reset();
    user.clear();
    length.reset();
    kept = {};
}

void http_server_request::shrink() noexcept {
    constexpr std::size_t usual_segments = 32, usual_bytes = 256;
    // Swapped, not assigned: an assignment of an empty one keeps the room.
    if (segments.capacity() > usual_segments) decltype(segments)().swap(segments);
    if (decoded.capacity() > usual_segments) decltype(decoded)().swap(decoded);
    for (auto& [name, value] : parameters)
        if (value.capacity() > usual_bytes) std::string().swap(value);
    query.reset();
}

}  // namespace detail

namespace http {

reply_error::reply_error(int status, std::string_view text)
    : error(std::string(text.empty() ? h1::reason_phrase(status) : text)), status_(status) {
    if (status < 400 || status > 599) throw error("reply_error: the status is not in 400 to 599");
}
reply_error::~reply_error() = default;

std::string_view request::method() const noexcept { return state_->method; }
std::string_view request::target() const noexcept { return state_->target; }
std::string_view request::path() const noexcept { return state_->path; }
http::version request::version() const noexcept { return state_->version; }
const fields& request::headers() const noexcept { return *state_->headers; }

std::string_view request::parameter(std::string_view name) const {
    // From the last: a mounted router's own come after those of its prefix.
    for (std::size_t i = state_->parameter_count; i-- > 0;)
        if (state_->parameters[i].first == name) return state_->parameters[i].second;
    throw error("the route of " + std::string(path()) + " has no parameter \"" +
                std::string(name) + "\"");
}

const http::form& request::query() const {
    if (!state_->query) state_->query.emplace(state_->query_text);
    return *state_->query;
}

std::optional<std::string_view> request::cookie(std::string_view name) const noexcept {
    for (const auto& [field, value] : headers()) {
        if (!same_word(field, "cookie")) continue;
        std::string_view left = value;
        while (!left.empty()) {
            const std::size_t end = std::min(left.find(';'), left.size());
            const std::string_view pair = ascii::trimmed(left.substr(0, end));
            left.remove_prefix(std::min(end + 1, left.size()));
            const std::size_t equals = pair.find('=');
            if (equals == pair.npos || pair.substr(0, equals) != name) continue;
            std::string_view found = pair.substr(equals + 1);
            if (found.size() > 1 && found.front() == '"' && found.back() == '"')
                found = found.substr(1, found.size() - 2);
            return found;
        }
    }
    return std::nullopt;
}

endpoint request::peer() const { return state_->exchange->peer(); }
endpoint request::remote() const { return rondo::detail::client_of(*state_); }
bool request::is_secure() const { return rondo::detail::is_secure_client(*state_); }
std::string_view request::host() const noexcept { return header("host").value_or(""); }
const std::string& request::user() const noexcept { return state_->user; }
void request::set_user(std::string name) { state_->user = std::move(name); }
std::optional<std::uint64_t> request::content_length() const noexcept { return state_->length; }

const fields& request::trailers() const noexcept {
    return state_->exchange->request_trailers();
}

task<chunk> request::read_some() {
    std::string_view piece = std::exchange(state_->kept, {});
    if (piece.empty()) piece = co_await state_->exchange->read_body();
    if (piece.empty()) co_return chunk();
    co_return chunk(const_cast<char*>(piece.data()), piece.size());
}

task<chunk> request::read_some(buffer_view into) {
    if (into.empty()) co_return chunk(into);
    std::string_view& left = state_->kept;
    if (left.empty()) left = co_await state_->exchange->read_body();
    if (left.empty()) co_return chunk();
    const std::size_t count = std::min(left.size(), into.size());
    std::memcpy(into.data(), left.data(), count);
    left.remove_prefix(count);
    co_return chunk(into.first(count));
}

task<std::string> request::bytes(std::size_t limit) {
    if (limit == servers_limit) limit = rondo::detail::body_limit(*state_);
    const auto refuse = [limit] {
        return reply_error(413, "the body is longer than " + std::to_string(limit) + " bytes");
    };
    std::string all;
    if (state_->length) {
        if (*state_->length > limit) throw refuse();
        all.reserve(std::min<std::size_t>(static_cast<std::size_t>(*state_->length), 65536));
    }
    for (;;) {
        const chunk some = co_await read_some();
        if (!some) break;
        if (some.size() > limit - all.size()) throw refuse();
        all.append(some.data(), some.size());
    }
    co_return all;
}

task<std::string> request::text(std::size_t limit) {
    const parameters type(header("content-type").value_or(""));
    const std::string charset(type.get("charset").value_or(""));
    std::string all = co_await bytes(limit);
    try {
        all = to_utf8(std::move(all), charset);
    } catch (const error& why) {
        throw reply_error(415, why.what());
    }
    if (!is_utf8(all)) throw reply_error(400, "the body is no text in UTF-8");
    co_return all;
}

task<json_body> request::json(std::size_t limit) { co_return json_body(co_await bytes(limit)); }

task<http::form> request::form(std::size_t limit) {
    const parameters type(header("content-type").value_or(""));
    if (!same_word(type.value(), "application/x-www-form-urlencoded"))
        throw reply_error(415, "the body is not application/x-www-form-urlencoded");
    const std::string all = co_await bytes(limit);
    co_return http::form(all);
}

}  // namespace http
}  // namespace v0
}  // namespace rondo
