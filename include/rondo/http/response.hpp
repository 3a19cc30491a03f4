// SPDX-License-Identifier: MIT
// The response to a request. It exists as soon as the head has come; the body is read from the
// connection as you ask for it.
//
//     auto response = co_await http.get(url);
//     std::string page = co_await response.text();                        // all of it, or:
//     while (auto chunk = co_await response.read_some()) use(chunk);      // as it comes, or:
//     co_await response.save_to("page.html");
//     auto events = response.events();                                    // of text/event-stream
//
// A response that is dropped gives its connection back. A short rest of the body is read first,
// without waiting for it; otherwise the connection is closed.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <rondo/buffer.hpp>
#include <rondo/config.hpp>
#include <rondo/generator.hpp>
#include <rondo/http/error.hpp>
#include <rondo/http/fields.hpp>
#include <rondo/http/server_event.hpp>
#include <rondo/http/url.hpp>
#include <rondo/task.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {
struct http_response;
}
namespace http {

class request_builder;

/// Version of HTTP that a response came in.
enum class version : std::uint8_t { http_1_0, http_1_1, http_2 };
/// "HTTP/1.1"
RONDO_API std::string_view text(version which) noexcept;

/// A response that was followed: a redirect.
struct hop {
    int status = 0;
    http::url url;  ///< that was asked
};

/// How long the parts of a request took, on the loop's clock. A part that did not happen, such as
/// connecting if a connection was used again, is zero.
struct timing {
    duration queued{};      ///< until a connection of the pool was free
    duration dns{};         ///< name lookup
    duration connect{};     ///< connect(2), a tunnel of HTTP or SOCKS included
    duration tls{};         ///< handshake
    duration first_byte{};  ///< from the start of the request to the head of the response
    duration total{};       ///< to the end of the body, or to now
};

/// Converts values of T to JSON and back: specialize it with
///     static std::string text(const T& value);
///     static T parse(std::string_view text);
/// http/json.hpp has it for nlohmann::json.
template <class T>
struct json_codec;

/// A body that is to be parsed: converts to a T for which http::json_codec<T> exists.
class json_text {
public:
    explicit json_text(std::string text) noexcept : text_(std::move(text)) {}
    const std::string& text() const noexcept { return text_; }

    /// Throws: what the codec throws.
    template <class T>
        requires requires(std::string_view text) {
            { json_codec<T>::parse(text) } -> std::same_as<T>;
        }
    operator T() const {
        return json_codec<T>::parse(text_);
    }

private:
    std::string text_;
};

/// A response. Move-only; may outlive its session.
/// Thread: its loop's thread.
/// See:    aiohttp.ClientResponse, httpx.Response.
class RONDO_API response {
public:
    static constexpr std::size_t all_limit = std::size_t{64} * 1024 * 1024;
    static constexpr std::size_t line_limit = std::size_t{64} * 1024;

    response(response&&) noexcept;
    response& operator=(response&&) noexcept;
    ~response();

    int status() const noexcept;
    /// True for a status below 400.
    bool ok() const noexcept { return status() < 400; }
    /// The text beside the status, "Not Found"; may be empty.
    std::string_view reason() const noexcept;
    http::version version() const noexcept;
    /// Throws: status_error, "404 Not Found: GET https://…", for a status from 400.
    void raise_for_status() const;

    const fields& headers() const noexcept;
    /// The value of the first field of that name.
    std::optional<std::string_view> header(std::string_view name) const noexcept {
        return headers().get(name);
    }
    /// The URL that answered: after redirects, not the one that was asked first.
    const http::url& url() const noexcept;
    /// The redirects that were followed, in their order.
    const std::vector<hop>& history() const noexcept;
    /// The length of the body as it is sent, before decoding; empty if the server does not say.
    std::optional<std::uint64_t> content_length() const noexcept;
    /// Fields after the body; complete at its end.
    const fields& trailers() const noexcept;
    http::timing timing() const noexcept;

    /// The bytes of the body that have come, at least one, decoded. They are good until the next
    /// read.
    /// Returns: false at the end of the body.
    /// Throws:  body_error if the body ends early or cannot be decoded; http::timeout_error after
    ///          30 s without a byte, or if less than 1 KiB/s came for 30 s. Only the time in which
    ///          a task waits here counts. Later reads throw the same error.
    /// Cancel:  no byte is lost.
    task<chunk> read_some();
    /// The same into memory of the caller's, so that a response is an input_stream.
    task<chunk> read_some(buffer_view into);
    /// The next line of the body, without its end; empty at the end of the body.
    /// Throws: http::limit_error if it is longer than `limit`; otherwise as read_some.
    task<std::optional<std::string>> read_line(std::size_t limit = line_limit);
    /// The lines of the body, as read_line gives them. The response must outlive the generator.
    async_generator<std::string> lines(std::size_t limit = line_limit);

    /// The rest of the body, decoded, within the time that is left of the request's total (60 s).
    /// Throws: http::limit_error for more than `limit` bytes; otherwise as read_some.
    task<std::string> bytes(std::size_t limit = all_limit);
    /// The same as text in UTF-8. A body in Latin-1 is converted.
    /// Throws: http::error that names a charset that is another one; otherwise as bytes.
    task<std::string> text(std::size_t limit = all_limit);
    /// The same as a value: `nlohmann::json value = co_await response.json();`. Needs
    /// http/json.hpp.
    task<json_text> json(std::size_t limit = all_limit);
    /// Writes the body to a file, which is created or replaced when all of it has come. The body is
    /// written as it is sent, unless the request says decode(true).
    /// Returns: the number of bytes.
    /// Throws:  std::system_error; otherwise as read_some. Then the file is as it was.
    task<std::uint64_t> save_to(std::string path);

    /// The server-sent events of the body. The stream takes the response over: this object is empty
    /// afterwards, as if it had been moved from.
    /// Throws: status_error for a status from 400; http::error for another content type than
    ///         text/event-stream. A response of status 204 has no events.
    event_stream events(event_stream_options options = {});

    /// Gives the connection back, as the destructor does. If the body was not read to its end,
    /// later reads throw closed_error.
    void close() noexcept;

    /// A response that no server has sent, in answer to `asked`: of a cache, or of a test.
    /// `body` is what a reader gets; it is not decoded.
    response(const request_builder& asked, int status, fields headers, std::string body);

    explicit response(std::unique_ptr<detail::http_response> state) noexcept;

private:
    friend class websocket_builder;
    detail::http_response& state() const noexcept;

    std::unique_ptr<detail::http_response> state_;
};

}  // namespace http
}  // namespace v0
}  // namespace rondo
