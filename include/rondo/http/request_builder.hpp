// SPDX-License-Identifier: MIT
// A request: what to send. The verbs of a session make one, its setters complete it, and awaiting
// it sends it. It ends with the head of the response.
//
//     auto made = co_await http.post("/items").query("draft", "1").body(text).timeout(5s);
//
// A request is a value: a copy is another request, and a named one can be awaited again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <rondo/buffer.hpp>
#include <rondo/config.hpp>
#include <rondo/endpoint.hpp>
#include <rondo/generator.hpp>
#include <rondo/http/error.hpp>
#include <rondo/http/response.hpp>
#include <rondo/http/url.hpp>
#include <rondo/stream.hpp>
#include <rondo/task.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {
struct http_request;
struct http_session;
}  // namespace detail
namespace http {

/// A source of the bytes of a request's body, piece by piece.
class RONDO_API body_source {
public:
    virtual ~body_source();
    /// The next bytes, good until the next call; empty at the end.
    virtual task<std::string_view> next() = 0;
    /// The number of bytes in all, if it is known before.
    virtual std::optional<std::uint64_t> size() const noexcept { return std::nullopt; }
    /// Goes back to the first byte, so that the body can be sent again.
    /// Returns: false if that is impossible.
    virtual bool rewind() noexcept { return false; }
};

/// When a request is repeated after a failure. Without it, a request is repeated once, if a
/// connection that was used before died before a byte of the response came.
struct retry_policy {
    int attempts = 3;                                           ///< in all
    detail::time_limit delay = std::chrono::milliseconds(500);  ///< doubled each time, with jitter
    detail::time_limit delay_max = std::chrono::seconds(30);    ///< also of Retry-After
    bool any_method = false;  ///< also methods that are not idempotent: POST, PATCH
};
static_assert(std::is_trivially_destructible_v<retry_policy>);

/// A request. Each setter returns the request itself, for chaining. Setters throw http::error for
/// a text that must not be sent; the URL is parsed when the request is sent.
/// Thread: its session's.
/// See:    aiohttp.ClientSession.request, httpx.Request.
class RONDO_API request_builder {
public:
    request_builder(std::shared_ptr<detail::http_session> session, std::string_view method,
                    url_or_text url);
    request_builder(const request_builder&);
    request_builder(request_builder&&) noexcept;
    request_builder& operator=(request_builder) noexcept;
    ~request_builder();

    /// Sets a header field; it replaces the session's of that name.
    request_builder& header(std::string_view name, std::string_view value);
    /// Adds `name=value` to the query of the URL, both encoded. It repeats.
    request_builder& query(std::string_view name, std::string_view value);
    template <class Number>
        requires(std::is_arithmetic_v<Number> && !std::is_same_v<Number, bool>)
    request_builder& query(std::string_view name, Number value) {
        return query(name, std::to_string(value));
    }

    /// The body: bytes, which are copied, or moved from a std::string&&.
    request_builder& body(std::string bytes, std::string_view content_type = {});
    /// The body as a stream of bytes: everything that has read_some (a file, a socket, another
    /// response). It can be sent only once. The stream is kept until the request ends.
    template <input_stream S>
        requires(!std::is_lvalue_reference_v<S>)
    request_builder& body(S&& stream, std::string_view content_type = {});
    /// The body as pieces that a generator yields. It can be sent only once.
    request_builder& body(async_generator<std::string> pieces, std::string_view content_type = {});
    request_builder& body(std::shared_ptr<body_source> source, std::string_view content_type = {});
    /// The body from a file, which is opened when the request is sent.
    request_builder& body_file(std::string_view path, std::string_view content_type = {});
    /// Adds a field to a form; the body is application/x-www-form-urlencoded. It repeats.
    request_builder& form(std::string_view name, std::string_view value);
    /// Adds a part to a form; the body is multipart/form-data. It repeats.
    request_builder& part(std::string_view name, std::string_view value);
    /// Adds a file to a form, read while the request is sent. The body is multipart/form-data.
    /// `filename` is the name that the server sees; empty: the last part of the path.
    request_builder& part_file(std::string_view name, std::string_view path,
                               std::string_view content_type = {}, std::string_view filename = {});
    /// The body in JSON, as http::json_codec<T> says; needs http/json.hpp. Give it a named value.
    template <class T>
    request_builder& json(const T& value);

    request_builder& basic_auth(std::string_view user, std::string_view password);
    request_builder& bearer(std::string_view token);
    /// Answers a Digest challenge of the server: MD5 and SHA-256, also of -sess, with qop=auth or
    /// without. The session keeps the challenge, so that later requests answer at once. The first
    /// request is sent twice: a body that can be sent only once is an http::error then.
    /// The answer goes to the origin of the request alone, not along with a redirect to another.
    /// Needs OpenSSL. See: RFC 7616.
    request_builder& digest_auth(std::string_view user, std::string_view password);
    /// Asks for the bytes `first` to `last`, both included; without `last`, to the end.
    request_builder& range(std::uint64_t first, std::optional<std::uint64_t> last = std::nullopt);

    /// A limit for everything: redirects, retries and, as long as it is read, the body.
    request_builder& timeout(detail::time_limit total);
    /// How many redirects are followed at most; 0: a redirect is the response.
    request_builder& redirects(int count);
    /// Whether the body is decoded (gzip, deflate, br, zstd). true: in save_to as well. false: the
    /// body is as it is sent.
    request_builder& decode(bool on);
    /// The version of HTTP. http_1_1: HTTP/2 is not offered to the server. http_2: nothing else is;
    /// an http:// URL is then asked in HTTP/2 without TLS, which its server must be known to speak.
    /// Throws: http::error for http_1_0, which is not sent.
    request_builder& version(http::version which);
    request_builder& retries(retry_policy policy = {});
    /// A proxy for this request, "http://host:port" or "socks5://host:port"; empty: none.
    request_builder& proxy(std::string_view url);
    /// Connects to this address instead of looking the host's name up.
    request_builder& resolve_to(const endpoint& address);

    // -- for middleware --------------------------------------------------------------------------
    std::string_view method() const noexcept;
    /// The URL to ask: joined with the session's base, the query included.
    /// Throws: url_error.
    http::url url() const;
    /// The header fields of the request itself, without those of the session.
    const fields& headers() const noexcept;

    /// Sends the request.
    /// Throws: http::error and what derives from it; http::timeout_error.
    /// Cancel: gives it up. Its connection is closed, unless the response was complete.
    task<response> send() const&;
    task<response> send() &&;

    detail::task_awaiter<response> rondo_awaiter() const&;
    detail::task_awaiter<response> rondo_awaiter() &&;

private:
    friend class next_request;
    friend class response;
    friend class websocket_builder;
    friend struct detail::http_request;
    explicit request_builder(std::unique_ptr<detail::http_request> spec) noexcept;
    detail::http_request& changed();
    task<response> send_now();

    std::unique_ptr<detail::http_request> spec_;
};

/// The rest of a request's way, for a middleware: the functions that were added after it, and then
/// the server.
class RONDO_API next_request {
public:
    /// Sends the request. Throws: as its send().
    task<response> operator()(request_builder request) const;

private:
    friend struct detail::http_request;
    explicit next_request(std::size_t layer) noexcept : layer_(layer) {}

    std::size_t layer_;
};

// -- templates -----------------------------------------------------------------------------------
template <class S>
class stream_source final : public body_source {
public:
    explicit stream_source(S stream) : stream_(std::move(stream)) {}
    task<std::string_view> next() override {
        if (!buffer_) buffer_ = std::make_unique_for_overwrite<char[]>(buffer_bytes);
        const auto filled = co_await stream_.read_some(buffer_view(buffer_.get(), buffer_bytes));
        co_return filled ? std::string_view(filled.text()) : std::string_view();
    }

private:
    static constexpr std::size_t buffer_bytes = std::size_t{64} * 1024;
    S stream_;
    std::unique_ptr<char[]> buffer_;
};

template <input_stream S>
    requires(!std::is_lvalue_reference_v<S>)
request_builder& request_builder::body(S&& stream, std::string_view content_type) {
    return body(std::make_shared<stream_source<S>>(std::move(stream)), content_type);
}

template <class T>
request_builder& request_builder::json(const T& value) {
    static_assert(
        requires { json_codec<T>::text(value); },
        "no http::json_codec for this type: include <rondo/http/json.hpp>, which has "
        "nlohmann::json, or specialize it");
    return body(json_codec<T>::text(value), "application/json");
}

}  // namespace http
}  // namespace v0
}  // namespace rondo
