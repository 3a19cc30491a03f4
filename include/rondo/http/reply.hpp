// SPDX-License-Identifier: MIT
// The answer of a handler.
//
//     co_return http::reply::text("hello\n");
//     co_return http::reply::json(value, 201).header("location", where);
//     co_return http::reply::redirect("/login");
//     co_return http::reply::stream("text/event-stream", tick);  // task<> tick(http::body_writer&)
//
// The server adds date, content-length or transfer-encoding, and what the connection needs.
#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include <rondo/buffer.hpp>
#include <rondo/config.hpp>
#include <rondo/http/fields.hpp>
#include <rondo/http/response.hpp>
#include <rondo/loop.hpp>
#include <rondo/task.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {
class http_server_exchange;
struct reply_source;
struct RONDO_API reply_source_deleter {
    void operator()(reply_source* source) const noexcept;
};
}  // namespace detail
namespace http {

/// An event that body_writer::send sends. Empty parts are left out.
struct event_options {
    std::string_view type{};  ///< the browser's default is "message"
    std::string_view id{};
    detail::time_limit retry = duration::zero();  ///< that the browser waits before it reconnects
};
static_assert(std::is_trivially_destructible_v<event_options>);

/// Writes the body of a streamed reply: `reply::stream` passes it to its function. An
/// output_stream.
/// Thread: its loop's.
class RONDO_API body_writer {
public:
    explicit body_writer(detail::http_server_exchange& to) noexcept : to_(&to) {}
    body_writer(const body_writer&) = delete;
    body_writer& operator=(const body_writer&) = delete;

    /// Sends `data`, which is borrowed until the await has ended. It waits while the client takes
    /// nothing; after server_options::write the client is given up and the function cancelled.
    /// Throws: http::error if the reply has a length and this is more; write_error.
    /// Cancel: the connection is closed, since a part may have been sent.
    task<> write_all(const_buffer data);
    /// Sends a server-sent event; each line of `data` becomes a line of the event.
    /// Throws: http::error if the type or the id has a line end; as write_all.
    task<> send(std::string_view data, event_options options = {});
    /// Fields after the body. Only clients of HTTP/1.1 and later get them, and most ignore them.
    fields& trailers() noexcept;

    /// For middleware.
    detail::http_server_exchange& exchange() const noexcept { return *to_; }

private:
    detail::http_server_exchange* to_;
};

/// Attributes of a cookie that a reply sets.
struct cookie_options {
    std::string_view path = "/";
    std::string_view domain{};  ///< and all hosts below it; empty: this host alone
    detail::time_limit max_age = duration::zero();  ///< zero: until the browser is closed
    bool secure = false;                            ///< only over https
    bool http_only = true;                          ///< hidden from scripts
    std::string_view same_site = "Lax";             ///< "Strict", "Lax", "None"
};
static_assert(std::is_trivially_destructible_v<cookie_options>);

/// A reply. Move-only. The setters return the reply itself, for chaining; they throw http::error
/// for a text that must not be sent.
/// See: aiohttp.web.Response, starlette.responses.
class RONDO_API reply {
public:
    /// 204 No Content.
    reply() noexcept = default;
    reply(reply&&) noexcept = default;
    reply& operator=(reply&&) noexcept = default;
    ~reply() = default;

    /// text/plain in UTF-8.
    static reply text(std::string body, int status = 200);
    /// text/html in UTF-8.
    static reply html(std::string body, int status = 200);
    /// Any bytes.
    static reply bytes(std::string body, std::string_view content_type, int status = 200);
    /// JSON, as http::json_codec<T> says; needs http/json.hpp. Give it a named value.
    template <class T>
    static reply json(const T& value, int status = 200) {
        static_assert(requires { json_codec<T>::text(value); },
                      "no http::json_codec for this type: include <rondo/http/json.hpp>, which has "
                      "nlohmann::json, or specialize it");
        return json_bytes(json_codec<T>::text(value), status);
    }
    /// A status with its phrase as the text: `reply::status(404)`. 204 and 304 have no body.
    static reply status(int code);
    /// Sends the client to another URL, which may be relative. 303: with GET; 307: the same request
    /// again; 301 and 308: for ever.
    /// Throws: http::error if `to` has a line end, or the status is not one of a redirect.
    static reply redirect(std::string_view to, int status = 303);
    /// A file, which is opened when the reply is sent: ranges, ETag, If-None-Match and the like
    /// are looked after; 404 if there is none. Without `content_type`, by the extension. `path` is
    /// trusted: for paths that clients choose there is router::files.
    static reply file(std::string path, std::string_view content_type = {});
    /// A body that a function writes: `task<> fn(body_writer&)`, with `args` before the writer if
    /// there are any. Both are kept until it has ended. The head is sent before it begins. It is
    /// cancelled when the client goes. If it throws, the connection is cut, so that the client
    /// does not take the body for complete.
    template <class F, class... Args>
        requires std::is_invocable_r_v<task<>, std::decay_t<F>&, std::decay_t<Args>&...,
                                       body_writer&>
    static reply stream(std::string_view content_type, F&& fn, Args&&... args) {
        if constexpr (sizeof...(Args) == 0) {
            return streamed(content_type, std::forward<F>(fn));
        } else {
            auto bound = [kept = std::make_tuple(std::decay_t<F>(std::forward<F>(fn)),
                                                 std::decay_t<Args>(std::forward<Args>(args))...)](
                             body_writer& out) mutable {
                return std::apply(
                    [&out](auto& f, auto&... a) { return std::invoke(f, a..., out); }, kept);
            };
            return streamed(content_type, std::move(bound));
        }
    }

    /// Sets a header field. content-length and transfer-encoding are the server's.
    reply& header(std::string_view name, std::string_view value) &;
    reply&& header(std::string_view name, std::string_view value) && {
        return std::move(header(name, value));
    }
    /// Sets a cookie. It repeats.
    reply& cookie(std::string_view name, std::string_view value, cookie_options options = {}) &;
    reply&& cookie(std::string_view name, std::string_view value, cookie_options options = {}) && {
        return std::move(cookie(name, value, options));
    }
    /// Asks the browser to forget a cookie.
    reply& forget_cookie(std::string_view name, std::string_view path = "/") &;
    reply&& forget_cookie(std::string_view name, std::string_view path = "/") && {
        return std::move(forget_cookie(name, path));
    }
    /// The length of a streamed body, so that it needs no chunks. The function must write exactly
    /// that.
    reply& length(std::uint64_t bytes) &;
    reply&& length(std::uint64_t bytes) && { return std::move(length(bytes)); }
    /// Another status, for a file or a stream.
    reply& set_status(int code) &;
    reply&& set_status(int code) && { return std::move(set_status(code)); }
    /// Closes the connection after the reply.
    reply& close() & noexcept {
        close_ = true;
        return *this;
    }
    reply&& close() && noexcept { return std::move(close()); }

    // -- for middleware --------------------------------------------------------------------------
    int status() const noexcept { return status_; }
    fields& headers() noexcept { return headers_; }
    const fields& headers() const noexcept { return headers_; }
    /// The media type: of the field content-type, or the one that `text` and the like have.
    std::string_view content_type() const noexcept;
    /// The media type that no field of the reply has; empty if one has.
    std::string_view static_type() const noexcept {
        return headers_.empty() || !headers_.contains("content-type") ? type_ : std::string_view();
    }
    /// The body if it is in memory; null for a file and a stream.
    std::string* body() noexcept { return source_ ? nullptr : &body_; }
    bool closes() const noexcept { return close_; }
    detail::reply_source* source() const noexcept { return source_.get(); }
    /// Replaces the function of a stream by one that it is passed to.
    detail::function<task<>(body_writer&)>* writer() noexcept;

    /// For the server.
    static reply of_source(std::unique_ptr<detail::reply_source, detail::reply_source_deleter> from,
                           int status, std::string_view content_type);

private:
    static reply json_bytes(std::string text, int status);
    static reply streamed(std::string_view content_type,
                          detail::function<task<>(body_writer&)> write);
    reply(int status, std::string_view static_type, std::string body);

    int status_ = 204;
    bool close_ = false;
    std::string_view type_;  // of static storage; a field content-type wins
    std::string body_;
    fields headers_;
    std::unique_ptr<detail::reply_source, detail::reply_source_deleter> source_;
};

}  // namespace http
}  // namespace v0
}  // namespace rondo
