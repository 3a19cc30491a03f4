// SPDX-License-Identifier: MIT
// A request as a handler of a server gets it. The head has come; the body is read from the
// connection as the handler asks for it.
//
//     rondo::task<http::reply> upload(http::request& request) {
//         std::string name(request.parameter("name"));             // of the route "/files/{name}"
//         std::string text = co_await request.text();              // all of the body, or:
//         while (auto chunk = co_await request.read_some()) …      // as it comes, any size
//
// A mistake of the client is thrown as reply_error: a handler that does not catch it answers with
// that status. A request lives until its reply has been sent.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <rondo/buffer.hpp>
#include <rondo/config.hpp>
#include <rondo/endpoint.hpp>
#include <rondo/http/error.hpp>
#include <rondo/http/fields.hpp>
#include <rondo/http/form.hpp>
#include <rondo/http/response.hpp>
#include <rondo/task.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {
struct http_server_request;
struct multipart_state;
}  // namespace detail
namespace http {

/// Thrown by a handler: answers with this status and text, and is not reported. The text is sent to
/// the client.
class RONDO_API reply_error : public error {
public:
    /// Without a text, the standard phrase: "Not Found".
    /// Throws: http::error if the status is not in 400 to 599.
    explicit reply_error(int status, std::string_view text = {});
    ~reply_error() override;

    int status() const noexcept { return status_; }

private:
    int status_;
};

/// A body in JSON, not parsed yet: converts to a T for which http::json_codec<T> exists.
class json_body {
public:
    explicit json_body(std::string text) noexcept : text_(std::move(text)) {}
    const std::string& text() const noexcept { return text_; }

    /// Throws: reply_error (400) for what the codec throws.
    template <class T>
        requires requires(std::string_view text) {
            { json_codec<T>::parse(text) } -> std::same_as<T>;
        }
    operator T() const {
        try {
            return json_codec<T>::parse(text_);
        } catch (const std::exception& why) {
            throw reply_error(400, why.what());
        }
    }

private:
    std::string text_;
};

/// The parts of a body of multipart/form-data, one after the other, as they come:
///
///     auto parts = request.multipart();
///     while (co_await parts.next())
///         if (parts.is_file()) co_await parts.save_to(path); else text = co_await parts.text();
///
/// An upload of any size takes no memory.
class RONDO_API multipart_reader {
public:
    /// Throws: reply_error (415) if the body is not multipart/form-data.
    explicit multipart_reader(detail::http_server_request& from);
    multipart_reader(multipart_reader&&) noexcept;
    multipart_reader& operator=(multipart_reader&&) noexcept;
    ~multipart_reader();

    /// Goes to the next part; what is left of the current one is skipped.
    /// Returns: false at the end of the body.
    /// Throws:  reply_error (400) for a malformed body; otherwise as request::read_some.
    task<bool> next();

    /// Name of the form's field.
    const std::string& name() const noexcept;
    /// True if the part is a file.
    bool is_file() const noexcept;
    /// The name of the file as the client gave it. Do not use it as a path.
    const std::string& file_name() const noexcept;
    const fields& headers() const noexcept;

    /// The next bytes of the part, good until the next read; false at its end.
    /// Throws: as next().
    task<chunk> read_some();
    /// The rest of the part.
    /// Throws: reply_error (413) for more than `limit` bytes; otherwise as next().
    task<std::string> text(std::size_t limit = std::size_t{1024} * 1024);
    /// Writes the rest of the part to a file, which is created or replaced.
    /// Returns: the number of bytes.
    /// Throws:  std::system_error; reply_error (413) for more than `limit` bytes; as next(). The
    ///          file is removed then.
    task<std::uint64_t> save_to(std::string path, std::uint64_t limit = ~std::uint64_t{0});

private:
    std::unique_ptr<detail::multipart_state> state_;
};

/// A request. Made by the server; a handler gets a reference.
/// Thread: its loop's.
/// See:    aiohttp.web.Request, starlette.requests.Request.
class RONDO_API request {
public:
    /// The limit of `bytes`, `text`, `json` and `form`: the server's, server_options::body_bytes.
    static constexpr std::size_t servers_limit = 0;

    explicit request(detail::http_server_request& state) noexcept : state_(&state) {}
    request(const request&) = delete;
    request& operator=(const request&) = delete;

    /// "GET"
    std::string_view method() const noexcept;
    /// Path and query as the client sent them: "/a%20b?q=1". Of a request for "http://host/a?q=1"
    /// also "/a?q=1".
    std::string_view target() const noexcept;
    /// The path alone, as the client sent it: "/a%20b".
    std::string_view path() const noexcept;
    http::version version() const noexcept;
    const fields& headers() const noexcept;
    /// The value of the first field of that name.
    std::optional<std::string_view> header(std::string_view name) const noexcept {
        return headers().get(name);
    }

    /// The part of the path that stands for `{name}` in the route, percent-decoded.
    /// Throws: http::error if the route has no parameter of that name.
    std::string_view parameter(std::string_view name) const;
    /// Names and values of the query, decoded.
    const http::form& query() const;
    /// The first value of that name in the query.
    std::optional<std::string_view> query(std::string_view name) const {
        return query().get(name);
    }
    /// The value of the first cookie of that name.
    std::optional<std::string_view> cookie(std::string_view name) const noexcept;

    /// The client's address. If the peer is one of server_options::trusted_proxies: the last
    /// address in x-forwarded-for that is not one of them.
    endpoint remote() const;
    /// The address of the peer of this connection; none for a test_client.
    endpoint peer() const;
    /// The host that the client asks for, as its field says: "example.org:8080".
    std::string_view host() const noexcept;
    /// True if the connection uses TLS, or a trusted proxy says x-forwarded-proto: https.
    bool is_secure() const;
    /// The user that http::basic_auth has let through; otherwise empty.
    const std::string& user() const noexcept;
    void set_user(std::string name);

    /// The length of the body; empty if the client does not say it before.
    std::optional<std::uint64_t> content_length() const noexcept;
    /// The bytes of the body that have come, at least one. They are good until the next read. The
    /// first read tells a client that waits for "100 Continue" to go on.
    /// Returns: false at the end of the body.
    /// Throws:  reply_error: 400 for a malformed body or one that ends early, 408 if no byte comes
    ///          for server_options::read. Later reads throw it again.
    /// Cancel:  no byte is lost.
    task<chunk> read_some();
    /// The same into memory of the caller's, so that a request is an input_stream.
    task<chunk> read_some(buffer_view into);
    /// The rest of the body.
    /// Throws: reply_error: 413 for more than `limit` bytes; otherwise as read_some.
    task<std::string> bytes(std::size_t limit = servers_limit);
    /// The same as text in UTF-8. A body in Latin-1 is converted.
    /// Throws: reply_error: 415 for another charset, 400 for bytes that are no UTF-8; as bytes.
    task<std::string> text(std::size_t limit = servers_limit);
    /// The same as a value: `nlohmann::json value = co_await request.json();`. Needs
    /// http/json.hpp.
    task<json_body> json(std::size_t limit = servers_limit);
    /// The body as a form: application/x-www-form-urlencoded.
    /// Throws: reply_error: 415 for another type; otherwise as bytes.
    task<http::form> form(std::size_t limit = servers_limit);
    /// The body as a form with files: multipart/form-data.
    /// Throws: reply_error (415) for another type.
    multipart_reader multipart() { return multipart_reader(*state_); }
    /// Fields after a body in chunks; complete at its end.
    const fields& trailers() const noexcept;

    /// For middleware and the server.
    detail::http_server_request& state() const noexcept { return *state_; }

private:
    detail::http_server_request* state_;
};

}  // namespace http
}  // namespace v0
}  // namespace rondo
